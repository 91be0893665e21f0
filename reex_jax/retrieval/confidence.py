"""What a query finds first, and how sure the model is of it."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from reex_jax.retrieval.chunks import DEFAULT_CHUNK, chunk_similarities, chunk_starts
from reex_jax.retrieval.topk import top_k


@partial(jax.jit, static_argnums=2)
def sure_top_k(
    queries: Float[Array, "batch dim"],
    gallery: Float[Array, "items dim"],
    k: int,
    temperature: Float[Array, ""],
    correction: Float[Array, " items"] | None = None,
) -> tuple[Int32[Array, "batch {k}"], Float[Array, " batch"]]:
    """The k best items of each query, and the softmax's share of the first.

    The softmax runs over the whole gallery, a chunk at a time, at the model's own temperature.

    Args:
        queries: unit rows.
        gallery: unit rows.
        k: at most as many as the gallery has.
        temperature: the model's own.
        correction: what is taken from each item's cosines, see `retrieval.calibration`.

    Returns:
        positions, best first; and confidences in [0, 1].
    """
    best, positions = top_k(queries, gallery, k, correction=correction)
    chunk = min(DEFAULT_CHUNK, gallery.shape[0])

    def add(total: jax.Array, start: jax.Array) -> tuple[jax.Array, None]:
        scores, _, _ = chunk_similarities(queries, gallery, start, chunk, correction)
        # Relative to the best score, so that nothing overflows; uncounted rows are -inf.
        return total + jnp.exp((scores - best[:, :1]) / temperature).sum(axis=1), None

    zero = jnp.zeros(queries.shape[0], jnp.float32)
    total, _ = jax.lax.scan(add, zero, chunk_starts(gallery.shape[0], chunk))
    return positions, 1 / total
