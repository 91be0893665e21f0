"""Similarities of a batch of queries to a gallery, one chunk of the gallery at a time.

Top-k and ranks both scan these chunks, so they see the very same float32 values and agree on
ties; beyond the gallery itself, memory is that of one chunk, however large the gallery.
"""

import jax
import jax.numpy as jnp

DEFAULT_CHUNK = 8192


def chunk_starts(size: int, chunk: int) -> jax.Array:
    """Gallery positions at which chunks start: [ceil(size / chunk)] int32."""
    return jnp.arange(0, size, chunk, dtype=jnp.int32)


def chunk_similarities(
    queries: jax.Array, gallery: jax.Array, start: jax.Array, chunk: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Scores of the chunk that starts at `start`.

    The last chunk is moved back so that it ends with the gallery: nothing is padded or copied. The
    rows that it then shares with the chunk before are marked, and score minus infinity.

    Args:
        queries: [B, d] float32.
        gallery: [N, d] float32.
        start: from `chunk_starts`, scalar int32.
        chunk: number of rows, at most N.

    Returns:
        scores [B, chunk] float32, the rows' gallery positions [chunk] int32, and which rows count
        for this chunk, [chunk] bool.
    """
    first = jnp.minimum(start, gallery.shape[0] - chunk)
    rows = jax.lax.dynamic_slice_in_dim(gallery, first, chunk)
    # HIGHEST: GPUs and TPUs would round float32 inputs otherwise, and ranks would differ.
    scores = jnp.matmul(queries, rows.T, precision=jax.lax.Precision.HIGHEST)
    # lax.top_k puts -0.0 behind 0.0, though they are equal: a tie must go by position.
    scores = jnp.where(scores == 0, 0.0, scores)
    positions = first + jnp.arange(chunk, dtype=jnp.int32)
    counted = positions >= start
    return jnp.where(counted[None, :], scores, -jnp.inf), positions, counted
