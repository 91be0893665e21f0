"""The gallery: what is searched, embedded once by the source model."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from reex_jax.errors import UserError
from reex_jax.progress import tracked

_NORM_TOLERANCE = 1e-3


class Items(Protocol):
    """What a gallery is made from, by position; items may be loaded when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class Gallery:
    """Unit embeddings and the ids of the items behind them; checked when made.

    Attributes:
        embeddings: [N, d] float32, unit rows.
        ids: N different ids.

    Raises:
        UserError: empty, not a matrix, not finite, rows not of unit length, ids that repeat or
            are not as many as rows.
    """

    embeddings: np.ndarray
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        check_ids(self.ids, self.embeddings.shape[0])
        check_embeddings(self.embeddings, self.ids)


def check_ids(ids: Sequence[str], rows: int) -> None:
    """Raises UserError unless they are different, and as many as a gallery's rows."""
    if len(ids) != rows:
        raise UserError(f"the gallery has {rows} embeddings but {len(ids)} ids")
    twice = [identity for identity, n in Counter(ids).items() if n > 1]
    if twice:
        raise UserError(f"gallery id {twice[0]!r} is given twice; make each id unique")


def check_embeddings(
    rows: np.ndarray, ids: Sequence[str] | None = None, read: slice = slice(None)
) -> None:
    """Refuses what is no gallery.

    Args:
        rows: should be [N, d] with unit rows, N and d at least 1.
        ids: what messages call the rows; None for their positions.
        read: neighbours whose numbers are looked at; other processes look at the others.

    Raises:
        UserError: empty, not a matrix, not finite, or rows not of unit length.
    """
    if rows.ndim != 2 or rows.shape[0] == 0 or rows.shape[1] == 0:
        raise UserError(
            f"gallery embeddings have shape {list(rows.shape)}; they must be [N, d] with at "
            "least one item"
        )
    # In parts: a float64 copy of a large gallery would not fit.
    own, start = rows[read], read.start or 0
    parts = np.array_split(own, max(1, -(-len(own) // 65536)))
    norms = np.concatenate([np.linalg.norm(part.astype(np.float64), axis=1) for part in parts])
    # NaN compares false, so broken rows are caught here too.
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= _NORM_TOLERANCE))
    if wrong.size:
        first = int(wrong[0])
        name = repr(ids[start + first]) if ids else f"row {start + first}"
        raise UserError(
            f"{wrong.size} gallery embeddings are not finite vectors of length 1, the first is "
            f"{name} (length {norms[first]:.4g}); embed these items anew"
        )


def embed_gallery(
    encode: Callable[[Sequence[Any]], np.ndarray],
    items: Items,
    ids: Sequence[str],
    *,
    batch_size: int,
    describe: str = "gallery",
    progress: bool = True,
) -> Gallery:
    """Embeds all items in batches, with a progress bar on a terminal.

    Args:
        encode: a batch of items -> [n, d] float32 unit embeddings.
        items: anything `encode` takes; only one batch is held at a time.
        ids: one per item.
        batch_size: items given to `encode` at once.
        describe: the progress bar's label.
        progress: False for no bar at all.

    Raises:
        UserError: batch_size below 1; else see `Gallery`.
    """
    if batch_size < 1:
        raise UserError(f"batch_size is {batch_size}; it must be at least 1")
    starts = range(0, len(items), batch_size)
    bar = tracked(
        starts, total=len(starts), unit="batch", label=describe, leave=False, shown=progress
    )
    parts = [
        encode([items[i] for i in range(start, min(start + batch_size, len(items)))])
        for start in bar
    ]
    rows = np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
    return Gallery(np.asarray(rows, np.float32), tuple(ids))
