"""Whether an index holds what was written into it, and what it holds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reex_jax.index.opened import Index
from reex_jax.index.rows import BLOBS, CHECKS, EMBEDDINGS
from reex_jax.progress import tracked

_NORM = 2e-3
"""Half floats of 2048 components stay well inside of it."""
_ROWS = 16384


def faults_of(index: Index, *, shown: bool = True) -> Iterator[str]:
    """Everything that is wrong with an index, in words: whole passes over all of its files.

    Row by row: check sums, lengths of embeddings, ids that are empty, repeat or are no text. A file
    that is missing or too short does not open in the first place.
    """
    rows, count = index.rows, len(index)
    for name in BLOBS:
        if np.any(np.diff(rows.blobs[name].ends.astype(np.int64), prepend=0) < 0):
            yield f"{name}.ends does not rise"
            return
    for start in range(0, count, _ROWS):
        part = np.asarray(rows.embeddings[start : start + _ROWS], np.float32)
        wrong = np.flatnonzero(~(np.abs(np.linalg.norm(part, axis=1) - 1) <= _NORM))
        if wrong.size:
            yield f"row {start + wrong[0]} and {wrong.size - 1} near it: no vectors of length 1"
    seen: dict[bytes, int] = {}
    for position, identity in enumerate(rows.blobs["ids"].whole()):
        if not identity or seen.setdefault(identity, position) != position:
            first = seen.get(identity, position)
            yield f"row {position}: the id {identity!r} is empty, or that of row {first}"
        elif "\ufffd" in identity.decode("utf-8", "replace"):
            yield f"row {position}: the id {identity!r} is no text"
    for position in tracked(range(count), unit="row", label="verify", shown=shown):
        if rows.check_sum(position) != rows.checks[position]:
            yield f"row {position} ({index.ids[position]}): its check sum is another"


@dataclass(frozen=True)
class Stats:
    """What an index holds.

    Attributes:
        items: how many.
        captions: items with a caption.
        thumbnails: items with a thumbnail.
        sizes: what of the files -> bytes.
    """

    items: int
    captions: int
    thumbnails: int
    sizes: dict[str, int]


def stats_of(index: Index) -> Stats:
    """Counts and sizes of an index."""
    base = index.folder / index.manifest.rows
    files = {"embeddings": [EMBEDDINGS], "check sums": [CHECKS]}
    files |= {name: [f"{name}.bin", f"{name}.ends"] for name in BLOBS}
    sizes = {
        what: sum((base / name).stat().st_size for name in names) for what, names in files.items()
    }
    return Stats(len(index), _filled(index, "captions"), _filled(index, "thumbnails"), sizes)


def _filled(index: Index, name: str) -> int:
    ends = index.rows.blobs[name].ends
    return int(np.count_nonzero(np.diff(ends, prepend=np.uint64(0))))
