"""Lines of metrics.jsonl: one for each finished stream of a method."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reex_jax.errors import UserError

Row = dict[str, Any]
StreamKey = tuple[Any, ...]
"""A method and a stream, as `stream_key` gives them."""
STREAM_KEYS = ("method", "direction", "corruption", "severity", "seed")
_TEXTS = STREAM_KEYS[:3]
_CALIBRATED = "calibrated_"
_log = logging.getLogger(__name__)


def stream_key(row: Mapping[str, Any]) -> StreamKey:
    """What tells one line of metrics.jsonl from another."""
    return tuple(row[name] for name in STREAM_KEYS)


def by_ranking(rows: Sequence[Row]) -> list[Row]:
    """Each row as it is, and behind it the one of its calibrated ranking, where there is one.

    That one has the calibrated metrics under the plain names, and says "calibrated" in its method.
    """
    found = []
    for row in rows:
        found.append(row)
        names = [name for name in row if name.startswith(_CALIBRATED)]
        if names:
            metrics = {name.removeprefix(_CALIBRATED): row[name] for name in names}
            label = f"{row['method']}, calibrated"
            own = {"method": label, "method_alone": row["method"], "ranking": "calibrated"}
            found.append({**row, **metrics, **own})
    return found


def read_rows(metrics: Path) -> list[Row]:
    """The lines of a metrics.jsonl; none if it does not exist.

    A last line that is not finished (the run was killed, or is just writing it) is left out, with
    a warning; the file is not changed.

    Raises:
        UserError: the file cannot be read, or a line is no JSON object, lacks the stream's keys or
            its recall, or holds a value of another sort.
    """
    if not metrics.exists():
        return []
    try:
        *lines, torn = metrics.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"{metrics}: cannot be read ({error.strerror})") from error
    if torn:
        _log.warning("%s: left out its last line, which is not finished", metrics)
    return [_row(metrics, number, line) for number, line in enumerate(lines, start=1)]


def _row(metrics: Path, number: int, line: bytes) -> Row:
    try:
        row = json.loads(line)
        _check(row)
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)[:200]
        raise UserError(
            f"{metrics}: line {number} is damaged ({reason}); remove that line, its stream "
            "is then measured again"
        ) from error
    return row


def _check(row: Any) -> None:
    """Raises what `_row` reports unless a value is a row."""
    if not isinstance(row, dict):
        raise TypeError("it holds no object")
    for name in STREAM_KEYS:
        wanted: type = str if name in _TEXTS else int
        if not isinstance(row[name], wanted) or isinstance(row[name], bool):
            raise TypeError(f"{name} is {row[name]!r:.60}")
    row["recall@1"]  # a stream without it was never measured
    for name, value in row.items():
        if name in STREAM_KEYS or value is None or isinstance(value, str):
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} is {value!r:.60}, no number")
        if not math.isfinite(value):
            raise ValueError(f"{name} is {value}")
    if not isinstance(row["recall@1"], int | float):
        raise TypeError(f"recall@1 is {row['recall@1']!r:.60}, no number")
