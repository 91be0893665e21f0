"""A file that holds each answer from the moment it arrives until it is in the cache.

Its owner keeps it locked (`flock`), so after `kill -9` the next pass sees that it is orphaned
and takes its answers over; a running pass's journal is left alone.
"""

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

CacheRow = dict[str, Any]
_SUFFIX = ".journal"


class Journal:
    """Rows appended one by one; each is the system's as soon as `append` returns."""

    def __init__(self, folder: Path) -> None:
        """Makes a journal of this process in a folder that exists."""
        name = uuid.uuid4().hex
        # It gets its name when it is locked already, so that nobody takes it for an orphan.
        unlocked = folder / f".{name}.tmp"
        self._file: BinaryIO = unlocked.open("w+b")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._path = unlocked.rename(folder / f".{name}{_SUFFIX}")

    def append(self, row: CacheRow) -> None:
        """Adds one row; it survives the end of this process, however sudden."""
        self._file.write(json.dumps(row).encode() + b"\n")
        self._file.flush()

    def clear(self) -> None:
        """Forgets all rows, which are elsewhere by now."""
        self._file.seek(0)
        self._file.truncate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Removes the file, unless rows are left in it: the next pass takes them over."""
        if os.fstat(self._file.fileno()).st_size == 0:
            self._path.unlink(missing_ok=True)
        self._file.close()


def orphaned_rows(folder: Path) -> Iterator[list[CacheRow]]:
    """The rows of each journal whose owner is gone.

    A journal is removed when the next one is asked for, so first store what it held. A last line
    that its owner could not finish is left out.
    """
    for path in sorted(folder.glob(f".*{_SUFFIX}")):
        try:
            file = path.open("rb")
        except FileNotFoundError:  # another pass was faster
            continue
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            if os.fstat(file.fileno()).st_nlink:
                yield [json.loads(line) for line in file if line.endswith(b"\n")]
                path.unlink()
