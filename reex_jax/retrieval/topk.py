"""Exact search: the k gallery items most similar to each query."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int32

from reex_jax.errors import UserError
from reex_jax.retrieval.chunks import DEFAULT_CHUNK, Chunk, scan_chunks
from reex_jax.retrieval.part import Part, Searched, as_part

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
    return best_items(queries, gallery, k, correction, chunk)


def best_items(
    queries: Float[Array, "batch dim"],
    gallery: Searched,
    k: int,
    correction: Float[Array, " places"] | None = None,
    chunk: int = DEFAULT_CHUNK,
) -> tuple[Float[Array, "batch {k}"], Int32[Array, "batch {k}"]]:
    """`top_k` inside of compiled functions, of a gallery that may be split over devices.

    Each device finds the best of its own rows; only these are gathered. Where k is larger than the
    number of items, what is missing has the score minus infinity and a position behind all.
    """
    part = as_part(gallery)

    def merge(best: Found, now: Chunk) -> tuple[Found, None]:
        # Else scores of minus infinity would lose to the places that nothing fills yet.
        poor = now.counted[None, :] & ~(now.scores > _LOWEST)
        return keep_best(best, jnp.where(poor, _LOWEST, now.scores), now.positions), None

    nothing = nothing_found(queries.shape[0], min(k, part.rows.shape[0]), part)
    best, _ = scan_chunks(merge, nothing, queries, part, correction, chunk)
    return best_of_devices(best, part, k)


Found = tuple[Float[Array, "batch found"], Int32[Array, "batch found"]]
"""Scores, best first, and positions of each query's best items so far."""


def nothing_found(batch: int, k: int, part: Part) -> Found:
    """Before the first chunk: minus infinity, and positions behind all."""
    positions = jnp.full((batch, k), part.places, jnp.int32)
    return jnp.full((batch, k), -jnp.inf, jnp.float32), positions


def keep_best(
    best: Found, scores: Float[Array, "batch more"], positions: Int32[Array, " more"]
) -> Found:
    """The best of what was found and of a chunk; of equals the first, and what was found before."""
    # The chunk's own best first: then only these are copied, not the whole chunk.
    own, at = jax.lax.top_k(scores, min(best[0].shape[1], scores.shape[1]))
    candidates = jnp.concatenate([best[0], own], axis=1)
    labels = jnp.concatenate([best[1], positions[at]], axis=1)
    top, at = jax.lax.top_k(candidates, best[0].shape[1])
    return top, jnp.take_along_axis(labels, at, axis=1)


def best_of_devices(
    best: Found, part: Part, k: int
) -> tuple[Float[Array, "batch {k}"], Int32[Array, "batch {k}"]]:
    """The k best of what each device found among its own rows."""
    if part.axis is None and best[0].shape[1] == k:
        return best
    # By device, so that lax.top_k, which prefers the first of equals, prefers lower positions.
    scores, positions = (part.whole(x, axis=1) for x in best)
    missing = ((0, 0), (0, max(0, k - scores.shape[1])))
    scores = jnp.pad(scores, missing, constant_values=-jnp.inf)
    positions = jnp.pad(positions, missing, constant_values=part.places)
    top, at = jax.lax.top_k(scores, k)
    return top, jnp.take_along_axis(positions, at, axis=1)
