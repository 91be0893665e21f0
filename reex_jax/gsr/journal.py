"""A file that holds each answer from the moment it arrives until it is in the cache.

Its owner keeps it locked (`flock`), so after `kill -9` the next pass sees that it is orphaned
and takes its answers over; a running pass's journal is left alone, but read: it also says which
texts its owner is asking for, so that passes beside it ask for others.
"""

import fcntl
import json
import logging
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

CacheRow = dict[str, Any]
_SUFFIX = ".journal"
_ASKING = "asking"
_log = logging.getLogger(__name__)


class Journal:
    """Rows appended one by one; each is the system's as soon as `append` returns."""

    def __init__(self, folder: Path) -> None:
        """Makes a journal of this process in a folder that exists."""
        name = uuid.uuid4().hex
        # It gets its name when it is locked already, so that nobody takes it for an orphan.
        unlocked = folder / f".{name}.tmp"
        self._file = unlocked.open("w+b", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.path = unlocked.rename(folder / f".{name}{_SUFFIX}")

    def append(self, row: CacheRow) -> None:
        """Adds one row; it survives the end of this process, however sudden."""
        self._write(row)

    def asking(self, identity: str, texts: Sequence[str]) -> None:
        """Says which texts the owner asks a rewriter for from now on, and no others."""
        self._write({_ASKING: list(texts), "identity": identity})

    def clear(self) -> None:
        """Forgets all rows, which are elsewhere by now, and what was asked for."""
        self._file.seek(0)
        self._file.truncate()

    def _write(self, line: CacheRow) -> None:
        text = json.dumps(line).encode() + b"\n"
        if self._file.write(text) != len(text):
            raise OSError("the disk is full")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Removes the file, unless rows are left in it: the next pass takes them over."""
        if os.fstat(self._file.fileno()).st_size == 0:
            self.path.unlink(missing_ok=True)
        self._file.close()


def orphaned_rows(folder: Path, fits: Callable[[CacheRow], bool]) -> Iterator[list[CacheRow]]:
    """The rows of each journal whose owner is gone.

    A journal is removed when the next one is asked for, so first store what it held. A last line
    that its owner could not finish is left out. Of a damaged one the sound rows are given, and the
    file is set aside with a warning.

    Args:
        folder: of the cache.
        fits: whether the cache can keep a row.
    """
    for path in sorted(folder.glob(f".*{_SUFFIX}")):
        try:
            file = path.open("rb")
        except FileNotFoundError:  # another pass was faster
            continue
        with file:
            if not _locked(file) or not os.fstat(file.fileno()).st_nlink:
                continue
            lines, damaged = _lines(file)
            rows = [row for row in lines if _ASKING not in row]
            sound = [row for row in rows if fits(row)]
            yield sound
            damaged += len(rows) - len(sound)
            if damaged:
                aside = path.with_name(f"damaged-{path.name.lstrip('.')}")
                path.rename(aside)
                _log.warning(
                    "%s: %d lines that are no answers; set aside, and their queries are asked "
                    "again",
                    aside,
                    damaged,
                )
            else:
                path.unlink()


@dataclass(frozen=True)
class Underway:
    """What running passes have and do.

    Attributes:
        answered: texts that they have answers to, not in the cache yet.
        asked: texts that they are asking for.
    """

    answered: frozenset[str]
    asked: frozenset[str]


def underway(folder: Path, identity: str, own: Path | None = None) -> Underway:
    """What running passes of one rewriter have and do, from their journals save one's own.

    Read it before the cache: what a pass moves from the one to the other is then seen.
    """
    answered: set[str] = set()
    asked: set[str] = set()
    for path in folder.glob(f".*{_SUFFIX}"):
        if path == own:
            continue
        try:
            with path.open("rb") as file:
                if _locked(file):  # its owner is gone, and asks for nothing
                    continue
                rows, _ = _lines(file)
        except FileNotFoundError:
            continue
        claim: list[str] = []
        for row in rows:
            ours = row.get("identity") == identity
            if _ASKING in row:
                claim = row[_ASKING] if ours else []
            elif ours and "text" in row:
                answered.add(row["text"])
        asked.update(claim)
    return Underway(frozenset(answered), frozenset(asked - answered))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Waits until no other pass is inside of this in the same folder."""
    place = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def _locked(file: BinaryIO) -> bool:
    """Locks a journal, if its owner does not hold it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lines(file: Iterable[bytes]) -> tuple[list[CacheRow], int]:
    """The finished lines that are objects, and how many finished ones are not."""
    rows, damaged = [], 0
    for line in file:
        if not line.endswith(b"\n"):
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            damaged += 1
    return rows, damaged
