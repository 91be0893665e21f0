"""Reads the lines of `examples/` of a results folder."""

import json
from pathlib import Path
from typing import Any


def read_examples(path: Path) -> list[dict[str, Any]]:
    """The lines that are whole and have a key; none where the file is missing.

    A line that a crash cut short is left out: it is written again when its stream is.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    return [found for found in map(_line, lines) if found is not None]


def _line(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("key"), str) else None
