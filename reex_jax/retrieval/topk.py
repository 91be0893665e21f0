"""Exact search: the k gallery items most similar to each query."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int32

from reex_jax.errors import UserError
from reex_jax.retrieval.chunks import DEFAULT_CHUNK, chunk_similarities, chunk_starts

_LOWEST = float(np.finfo(np.float32).min)


def top_k(
    queries: ArrayLike,
    gallery: ArrayLike,
    k: int,
    chunk: int = DEFAULT_CHUNK,
    correction: Float[Array, " items"] | None = None,
) -> tuple[Float[Array, "batch k"], Int32[Array, "batch k"]]:
    """The k best gallery items of each query, best first; of equal scores the lower position.

    Args:
        queries: [B, d] float32.
        gallery: [N, d] float32.
        k: from 1 to N.
        chunk: gallery rows scored at a time; memory grows with B * (k + chunk).
        correction: what is taken from each item's scores, see `retrieval.calibration`.

    Returns:
        scores [B, k] float32 (corrected ones) and gallery positions [B, k] int32, all different.
        Where queries are not finite, scores that are no number or minus infinity count as float32's
        lowest value.

    Raises:
        UserError: widths differ, or k is not in 1..N.
    """
    queries, gallery = jnp.asarray(queries, jnp.float32), jnp.asarray(gallery, jnp.float32)
    check_widths(queries, gallery)
    if not 1 <= k <= gallery.shape[0]:
        raise UserError(f"k is {k}, but must lie in 1..{gallery.shape[0]}, the gallery's size")
    return _top_k(queries, gallery, k, chunk, correction)


def check_widths(
    queries: jax.Array | jax.ShapeDtypeStruct, gallery: jax.Array | jax.ShapeDtypeStruct
) -> None:
    """Raises UserError unless both are matrices with rows of the same width."""
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise UserError(
            f"queries {list(queries.shape)} and gallery {list(gallery.shape)} must be [B, d] and "
            "[N, d] with the same d; embed both with the same checkpoint"
        )


@partial(jax.jit, static_argnums=(2, 3))
def _top_k(
    queries: Float[Array, "batch dim"],
    gallery: Float[Array, "items dim"],
    k: int,
    chunk: int,
    correction: Float[Array, " items"] | None,
) -> tuple[Float[Array, "batch {k}"], Int32[Array, "batch {k}"]]:
    size = gallery.shape[0]
    chunk = min(chunk, size)

    def merge(
        best: tuple[jax.Array, jax.Array], start: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        scores, positions, counted = chunk_similarities(queries, gallery, start, chunk, correction)
        # Else scores of minus infinity would lose to the places that nothing fills yet.
        poor = counted[None, :] & ~(scores > _LOWEST)
        scores = jnp.where(poor, _LOWEST, scores)
        # Earlier chunks stand first and lax.top_k prefers the first of equals: ties by position.
        candidates = jnp.concatenate([best[0], scores], axis=1)
        labels = jnp.concatenate(
            [best[1], jnp.broadcast_to(positions[None, :], scores.shape)], axis=1
        )
        top, at = jax.lax.top_k(candidates, k)
        return (top, jnp.take_along_axis(labels, at, axis=1)), None

    shape = (queries.shape[0], k)
    nothing = (jnp.full(shape, -jnp.inf, jnp.float32), jnp.full(shape, size, jnp.int32))
    best, _ = jax.lax.scan(merge, nothing, chunk_starts(size, chunk))
    return best
