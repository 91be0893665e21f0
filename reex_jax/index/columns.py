"""Columns of an index on disk: values of any length in one file, where each ends in another.

Both files only grow, and are mapped into memory when they are read: opening costs nothing, however
many items there are, and a value is read when it is asked for.
"""

import operator
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from reex_jax.errors import UserError

_END = np.dtype("<u8")


def mapped(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """An array over the first bytes of a file, which may be longer; read-only.

    Raises:
        UserError: the file is missing or shorter than the array.
    """
    if not all(shape):
        return np.zeros(shape, dtype)
    needed = int(np.prod(shape)) * dtype.itemsize
    try:
        size = path.stat().st_size
        if size >= needed:
            return np.memmap(path, dtype, "r", shape=shape)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from error
    raise UserError(f"{path}: has {size} bytes, but {needed} belong there; {_REMEDY}")


_REMEDY = "the index is damaged: build it anew, or bring the file back from a copy"


class Blobs(Sequence[bytes]):
    """Values of any length, by position."""

    def __init__(self, folder: Path, name: str, count: int) -> None:
        """Opens the first `count` values of the column `name`.

        Raises:
            UserError: its files are missing or too short.
        """
        self.ends = mapped(folder / f"{name}.ends", _END, (count,))
        self.size = int(self.ends[-1]) if count else 0
        self._data = mapped(folder / f"{name}.bin", np.dtype(np.uint8), (self.size,))

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        place = operator.index(at)
        place += len(self) if place < 0 else 0
        if not 0 <= place < len(self):
            raise IndexError(f"item {at} of {len(self)}")
        return self.span(place, place + 1)

    def span(self, first: int, last: int) -> bytes:
        """The values from position `first` to before `last`, joined."""
        start = int(self.ends[first - 1]) if first else 0
        return self._data[start : int(self.ends[last - 1]) if last else 0].tobytes()

    def whole(self) -> list[bytes]:
        """All values at once, which is much faster than one by one."""
        data, start, values = self._data.tobytes(), 0, []
        for end in self.ends.tolist():
            values.append(data[start:end])
            start = end
        return values


class Texts(Sequence[str]):
    """Texts by position; one that is damaged comes with replacement signs."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def __len__(self) -> int:
        return len(self._blobs)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            return [value.decode("utf-8", "replace") for value in self._blobs[at]]
        return self._blobs[at].decode("utf-8", "replace")

    def whole(self) -> list[str]:
        """All texts at once, which is much faster than one by one."""
        return [value.decode("utf-8", "replace") for value in self._blobs.whole()]


def append_blobs(folder: Path, name: str, count: int, values: Sequence[bytes]) -> None:
    """Puts values behind the first `count` of a column; what stands there is written over.

    Raises:
        UserError: fewer than `count` values are there.
        OSError: they cannot be written.
    """
    start = Blobs(folder, name, count).size
    ends = start + np.cumsum([len(value) for value in values], dtype=_END)
    write_at(folder / f"{name}.bin", start, b"".join(values))
    write_at(folder / f"{name}.ends", count * _END.itemsize, ends.astype(_END).tobytes())


def write_at(path: Path, start: int, content: bytes) -> None:
    """Writes bytes from a place on and cuts off what was behind; on the disk when it returns."""
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.truncate(start)
        file.seek(start)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """Writes a new file; on the disk when it returns."""
    with path.open("wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
