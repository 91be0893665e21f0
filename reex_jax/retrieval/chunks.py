"""Similarities of a batch of queries to a gallery, one chunk of the gallery at a time.

Everything that looks at a whole gallery scans these chunks, so top-k and ranks see the very same
float32 values and agree on ties; beyond the gallery itself, memory is that of one chunk, however
large the gallery.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from reex_jax.arrays import cosines
from reex_jax.retrieval.part import Part

DEFAULT_CHUNK = 8192


class Chunk(NamedTuple):
    """Scores of a batch with some rows of a device's part of a gallery.

    Attributes:
        scores: cosines minus the correction; minus infinity where nothing counts.
        positions: of the rows in the whole gallery.
        counted: rows that are items, and that no chunk before has had.
        first: the first row's place in the device's part.
    """

    scores: Float[Array, "batch chunk"]
    positions: Int32[Array, " chunk"]
    counted: Bool[Array, " chunk"]
    first: Int32[Array, ""]

    def scores_less(self, taken: Float[Array, " own"] | None) -> Float[Array, "batch chunk"]:
        """The scores minus another correction, of all of the device's rows; None for none."""
        if taken is None:
            return self.scores
        size = self.positions.shape[0]
        own = jax.lax.dynamic_slice_in_dim(taken, self.first, size)
        return jnp.where(self.counted[None, :], _ordered(self.scores - own[None, :]), -jnp.inf)


def scan_chunks(
    body: Callable[[Any, Chunk], tuple[Any, Any]],
    carry: Any,
    queries: Float[Array, "batch dim"],
    gallery: Part,
    correction: Float[Array, " places"] | None = None,
    chunk: int = DEFAULT_CHUNK,
    *,
    differentiable: bool = False,
) -> tuple[Any, Any]:
    """`jax.lax.scan` over the chunks of this device's rows.

    The last chunk is moved back so that it ends with the rows: nothing is padded or copied. The
    rows that it then shares with the chunk before are not counted in it.

    Args:
        body: (carry, chunk) -> (carry, anything), as for `jax.lax.scan`.
        carry: what it starts from.
        queries: unit rows, mostly.
        gallery: of the same width.
        correction: what is taken from each item's scores, see `retrieval.calibration`.
        chunk: rows at a time.
        differentiable: for gradients: they compute each chunk's scores anew, and store none.
    """
    size = gallery.rows.shape[0]
    chunk = min(chunk, size)
    taken = None if correction is None else gallery.own(correction)

    def step(carry: Any, start: jax.Array) -> tuple[Any, Any]:
        first = jnp.minimum(start, size - chunk)
        scores = cosines(queries, gallery.chunk(first, chunk))
        if taken is not None:
            scores -= jax.lax.dynamic_slice_in_dim(taken, first, chunk)[None, :]
        scores = _ordered(scores)
        own = first + jnp.arange(chunk, dtype=jnp.int32)
        positions = gallery.first + own
        counted = own >= start
        if gallery.items is not None:
            counted &= positions < gallery.items
        scores = jnp.where(counted[None, :], scores, -jnp.inf)
        return body(carry, Chunk(scores, positions, counted, first))

    starts = jnp.arange(0, size, chunk, dtype=jnp.int32)
    return jax.lax.scan(jax.checkpoint(step) if differentiable else step, carry, starts)


def _ordered(scores: Float[Array, "batch chunk"]) -> Float[Array, "batch chunk"]:
    """The same without -0.0: lax.top_k puts it behind 0.0, but a tie must go by position."""
    return jnp.where(scores == 0, 0.0, scores)


def joined(parts: Float[Array, "chunks chunk"], size: int) -> Float[Array, " {size}"]:
    """What each chunk says of its rows, as one value for each of the `size` rows."""
    chunks, chunk = parts.shape
    last = size - (chunks - 1) * chunk
    return jnp.concatenate([parts[:-1].reshape(-1), parts[-1, chunk - last :]])
