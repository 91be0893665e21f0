"""Similarities of a batch of queries to a gallery, one chunk of the gallery at a time.

Top-k and ranks both scan these chunks, so they see the very same float32 values and agree on
ties; beyond the gallery itself, memory is that of one chunk, however large the gallery.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from reex_jax.arrays import cosines

DEFAULT_CHUNK = 8192


def chunk_starts(size: int, chunk: int) -> Int32[Array, " chunks"]:
    """Gallery positions at which chunks start."""
    return jnp.arange(0, size, chunk, dtype=jnp.int32)


def chunk_similarities(
    queries: Float[Array, "batch dim"],
    gallery: Float[Array, "items dim"],
    start: Int32[Array, ""],
    chunk: int,
    correction: Float[Array, " items"] | None = None,
) -> tuple[Float[Array, "batch {chunk}"], Int32[Array, " {chunk}"], Bool[Array, " {chunk}"]]:
    """Scores of the chunk that starts at `start`.

    The last chunk is moved back so that it ends with the gallery: nothing is padded or copied. The
    rows that it then shares with the chunk before are marked, and score minus infinity.

    Args:
        queries: unit rows, mostly.
        gallery: of the same width.
        start: from `chunk_starts`.
        chunk: number of rows, at most all of the gallery.
        correction: what is taken from each item's scores, see `retrieval.calibration`.

    Returns:
        scores, the rows' gallery positions, and which rows count for this chunk.
    """
    first = jnp.minimum(start, gallery.shape[0] - chunk)
    rows = jax.lax.dynamic_slice_in_dim(gallery, first, chunk)
    scores = cosines(queries, rows)
    if correction is not None:
        scores -= jax.lax.dynamic_slice_in_dim(correction, first, chunk)[None, :]
    # lax.top_k puts -0.0 behind 0.0, though they are equal: a tie must go by position.
    scores = jnp.where(scores == 0, 0.0, scores)
    positions = first + jnp.arange(chunk, dtype=jnp.int32)
    counted = positions >= start
    return jnp.where(counted[None, :], scores, -jnp.inf), positions, counted
