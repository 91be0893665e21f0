"""What a query finds first, and how sure the model is of it."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from reex_jax.retrieval.chunks import DEFAULT_CHUNK, Chunk, scan_chunks
from reex_jax.retrieval.part import Searched, as_part
from reex_jax.retrieval.topk import best_items


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
    return sure_items(queries, gallery, k, temperature, correction)


def sure_items(
    queries: Float[Array, "batch dim"],
    gallery: Searched,
    k: int,
    temperature: Float[Array, ""],
    correction: Float[Array, " places"] | None = None,
) -> tuple[Int32[Array, "batch {k}"], Float[Array, " batch"]]:
    """`sure_top_k` inside of compiled functions, of a gallery that may be split over devices."""
    part = as_part(gallery)
    best, positions = best_items(queries, part, k, correction, DEFAULT_CHUNK)

    def add(total: jax.Array, now: Chunk) -> tuple[jax.Array, None]:
        # Relative to the best score, so that nothing overflows; uncounted rows are -inf.
        return total + jnp.exp((now.scores - best[:, :1]) / temperature).sum(axis=1), None

    zero = jnp.zeros(queries.shape[0], jnp.float32)
    total, _ = scan_chunks(add, zero, queries, part, correction, DEFAULT_CHUNK)
    return positions, 1 / part.sum(total)
