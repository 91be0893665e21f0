"""Similarities of a batch of queries to a gallery, one chunk of the gallery at a time.

Top-k and ranks both scan these chunks, so they see the very same float32 values and agree on
ties; memory is that of one chunk, however large the gallery.
"""

import jax
import jax.numpy as jnp

DEFAULT_CHUNK = 8192


def split_gallery(gallery: jax.Array, chunk: int) -> tuple[jax.Array, jax.Array]:
    """The gallery in chunks of at most `chunk` rows, the last padded with zeros.

    Args:
        gallery: [N, d] float32.
        chunk: rows a chunk holds.

    Returns:
        chunks [C, chunk, d] float32 and the gallery position of each first row, [C] int32.
    """
    size, width = gallery.shape
    chunk = min(chunk, size)
    count = -(-size // chunk)
    padded = jnp.pad(gallery, ((0, count * chunk - size), (0, 0)))
    starts = jnp.arange(count, dtype=jnp.int32) * chunk
    return padded.reshape(count, chunk, width), starts


def chunk_similarities(
    queries: jax.Array, rows: jax.Array, start: jax.Array, size: int
) -> tuple[jax.Array, jax.Array]:
    """Scores of one chunk; padded rows score minus infinity.

    Args:
        queries: [B, d] float32.
        rows: [chunk, d] float32.
        start: gallery position of the first row.
        size: number of rows of the whole gallery.

    Returns:
        scores [B, chunk] float32 and the rows' gallery positions [chunk] int32.
    """
    # HIGHEST: GPUs and TPUs would round float32 inputs otherwise, and ranks would differ.
    scores = jnp.matmul(queries, rows.T, precision=jax.lax.Precision.HIGHEST)
    # lax.top_k puts -0.0 behind 0.0, though they are equal: a tie must go by position.
    scores = jnp.where(scores == 0, 0.0, scores)
    positions = start + jnp.arange(rows.shape[0], dtype=jnp.int32)
    return jnp.where((positions < size)[None, :], scores, -jnp.inf), positions
