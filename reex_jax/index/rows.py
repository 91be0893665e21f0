"""The files of an index's rows: one column each, and a check sum of every row."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reex_jax.index.columns import Blobs, Texts, append_blobs, mapped, write_at, write_parts
from reex_jax.index.manifest import Manifest

TEXTS = ("ids", "captions", "places", "stamps")
BLOBS = (*TEXTS, "thumbnails")
EMBEDDINGS, CHECKS = "embeddings.bin", "checks.bin"
CHECK = np.dtype("<u4")


@dataclass(frozen=True, eq=False)
class Row:
    """One item.

    Attributes:
        id: no other item's.
        embedding: [d] unit.
        caption: of a picture: "" for none; of a text: itself.
        place: where it came from, for people: a file, or a shard and a name in it.
        stamp: what changes when the item does.
        thumbnail: a small WebP or JPEG; empty for none.
    """

    id: str
    embedding: np.ndarray
    caption: str = ""
    place: str = ""
    stamp: str = ""
    thumbnail: bytes = b""


@dataclass(frozen=True, eq=False)
class Rows:
    """All rows, mapped into memory.

    Attributes:
        embeddings: [N, d] float16 or float32.
        blobs: name of a column -> its values.
        checks: [N] uint32, see `check_sum`.
    """

    embeddings: np.ndarray
    blobs: dict[str, Blobs]
    checks: np.ndarray

    def texts(self, name: str) -> Texts:
        """A column of TEXTS."""
        return Texts(self.blobs[name])

    def check_sum(self, position: int) -> int:
        """Of a row as it stands on the disk; `checks` has what it was when it was written."""
        values = [self.blobs[name][position] for name in BLOBS]
        return check_sum(values, self.embeddings[position].tobytes())


def open_rows(folder: Path, manifest: Manifest) -> Rows:
    """The rows that a manifest counts.

    Raises:
        UserError: a file is missing or too short.
    """
    base, count = folder / manifest.rows, manifest.items
    shape = (count, manifest.model.dim)
    return Rows(
        mapped(base / EMBEDDINGS, manifest.array_dtype, shape),
        {name: Blobs(base, name, count) for name in BLOBS},
        mapped(base / CHECKS, CHECK, (count,)),
    )


def append_rows(folder: Path, manifest: Manifest, rows: Sequence[Row]) -> None:
    """Writes rows behind those that count; they do not count until the manifest says so."""
    base, count = folder / manifest.rows, manifest.items
    base.mkdir(exist_ok=True)
    texts = {name: [getattr(row, name[:-1]).encode("utf-8") for row in rows] for name in TEXTS}
    columns = texts | {"thumbnails": [row.thumbnail for row in rows]}
    vectors = [np.asarray(row.embedding).astype(manifest.array_dtype).tobytes() for row in rows]
    checks = [
        check_sum(values[:-1], values[-1])
        for values in zip(*(columns[name] for name in BLOBS), vectors, strict=True)
    ]
    for name in BLOBS:
        append_blobs(base, name, count, columns[name])
    size = manifest.array_dtype.itemsize * manifest.model.dim
    write_at(base / EMBEDDINGS, count * size, b"".join(vectors))
    write_at(base / CHECKS, count * CHECK.itemsize, np.array(checks, CHECK).tobytes())


def copy_rows(folder: Path, old: Manifest, new: Manifest, kept: np.ndarray) -> None:
    """Writes the rows at rising positions `kept` of `old` into the folder of `new`."""
    rows, base = open_rows(folder, old), folder / new.rows
    base.mkdir()
    parts = _parts(kept)
    for name in BLOBS:
        blobs = rows.blobs[name]
        lengths = np.diff(blobs.ends, prepend=np.uint64(0))[kept]
        write_parts(base / f"{name}.ends", [np.cumsum(lengths, dtype="<u8").tobytes()])
        write_parts(base / f"{name}.bin", (blobs.span(*part) for part in parts))
    for name, array in ((EMBEDDINGS, rows.embeddings), (CHECKS, rows.checks)):
        write_parts(base / name, (array[first:last].tobytes() for first, last in parts))


_LONGEST = 16384
"""Rows that are copied at once."""


def _parts(kept: np.ndarray) -> list[tuple[int, int]]:
    """Rising positions as ranges [first, last), none longer than _LONGEST."""
    runs = np.split(kept, np.flatnonzero(np.diff(kept) != 1) + 1)
    parts = [run[i : i + _LONGEST] for run in runs for i in range(0, len(run), _LONGEST)]
    return [(int(part[0]), int(part[-1]) + 1) for part in parts]


def check_sum(values: Sequence[bytes], embedding: bytes) -> int:
    """CRC-32 of a row: its columns in the order of BLOBS, each with its length, then the vector."""
    total = 0
    for value in (*values, embedding):
        total = zlib.crc32(value, zlib.crc32(len(value).to_bytes(8, "little"), total))
    return total
