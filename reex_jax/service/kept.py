"""Folders and files that are whole at any moment, whenever the process is killed."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reex_jax.errors import UserError


def replace_folder(folder: Path, write: Callable[[Path], Any], *, make: bool = True) -> None:
    """Writes a folder beside the old one, then exchanges the two.

    Args:
        folder: what is replaced; it need not exist.
        write: is given the new folder's path.
        make: whether the folder above may be made.
    """
    new, old = (folder.with_name(f"{folder.name}.{part}") for part in ("new", "old"))
    if make:
        folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(new, ignore_errors=True)
    write(new)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def kept_folder(folder: Path) -> Path | None:
    """What `replace_folder` left: the folder, or the old one where it was killed in between."""
    old = folder.with_name(f"{folder.name}.old")
    return next((found for found in (folder, old) if found.is_dir()), None)


def write_lines(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """One JSON object a line, whole or not at all."""
    new = file.with_name(f".{file.name}.new")
    new.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    os.replace(new, file)


def read_lines(file: Path) -> list[dict[str, Any]]:
    """What `write_lines` wrote; nothing where it cannot be read."""
    try:
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    except (OSError, ValueError):
        return []


def writable_folder(folder: Path) -> Path:
    """The folder, made if need be.

    Raises:
        UserError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"{folder}: what is learned cannot be kept there ({error.strerror or error}); name "
            "another folder with --serve.state=FOLDER"
        ) from error
    return folder
