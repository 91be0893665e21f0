"""The compiled programs behind an answer: embed, fuse, rank."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from reex_jax.adaptation.encoder import Constants, QueryEncoder
from reex_jax.gsr.features import FusionFeatures
from reex_jax.gsr.fusion import FUSIONS
from reex_jax.retrieval.chunks import Chunk, scan_chunks
from reex_jax.retrieval.part import Part, as_part
from reex_jax.settings.repair import FusionSettings

CHUNK = 8192
_LOWEST = float(np.finfo(np.float32).min)


class Best(NamedTuple):
    """What `rank` finds.

    Attributes:
        scores: cosines of the best items.
        positions: of these, all different.
        entropy: of the softmax of corrected scores over the gallery, divided by log N.
    """

    scores: Float[Array, "rows k"]
    positions: Int32[Array, "rows k"]
    entropy: Float[Array, " rows"]


def embedding(encoder: QueryEncoder) -> Callable[[Any, Constants, Any], jax.Array]:
    """A compiled (parameters, constants, inputs) -> [rows, d] float32 unit."""

    def embed(parameters: Any, constants: Constants, inputs: Any) -> Float[Array, "rows dim"]:
        return encoder.embed(parameters, constants, inputs)

    return jax.jit(embed)


@partial(jax.jit, static_argnums=(0, 1))
def fuse(
    rule: str,
    settings: FusionSettings,
    original: Float[Array, "rows dim"],
    repaired: Float[Array, "rows dim"],
    features: FusionFeatures,
    gallery: Float[Array, "items dim"],
    temperature: Float[Array, ""],
) -> tuple[Float[Array, "rows dim"], Float[Array, " rows"]]:
    """Queries mixed with their repairs, and the weights of these."""
    return FUSIONS[rule](original, repaired, features, gallery, temperature, settings)


@partial(jax.jit, static_argnums=(0, 1))
def fuse_own(
    rule: str,
    settings: FusionSettings,
    original: Float[Array, "rows dim"],
    repaired: Float[Array, "rows dim"],
    features: FusionFeatures,
    items: Float[Array, "rows own dim"],
    counts: Int32[Array, " rows"],
    temperature: Float[Array, ""],
) -> tuple[Float[Array, "rows dim"], Float[Array, " rows"]]:
    """`fuse` where each row has a gallery of its own: the first `counts` of its `items`."""

    def one(original: Any, repaired: Any, features: Any, items: Any, count: Any) -> Any:
        own, rows = Part(items, count), (original[None], repaired[None])
        single = FusionFeatures(*(part[None] for part in features))
        fused, weight = FUSIONS[rule](*rows, single, own, temperature, settings)
        return fused[0], weight[0]

    found: tuple[jax.Array, jax.Array] = jax.vmap(one)(original, repaired, features, items, counts)
    return found


@partial(jax.jit, static_argnums=5)
def rank(
    queries: Float[Array, "rows dim"],
    which: Int32[Array, " rows"],
    gallery: Float[Array, "items dim"],
    corrections: Float[Array, "lanes items"],
    temperature: Float[Array, ""],
    k: int,
) -> Best:
    """The k best items of each query, in one pass over the gallery.

    Rankings of several lanes go together: each row says which correction is taken from it. Equal
    to `retrieval.topk.top_k` otherwise, ties included.

    Args:
        queries: unit rows.
        which: row -> row of `corrections`.
        gallery: unit rows.
        corrections: what is taken from each item's cosines.
        temperature: of the softmax whose entropy is wanted.
        k: from 1 to N.
    """
    return _best(queries, which, as_part(gallery), corrections, temperature, k)


@partial(jax.jit, static_argnums=5)
def rank_own(
    queries: Float[Array, "rows dim"],
    items: Float[Array, "rows own dim"],
    counts: Int32[Array, " rows"],
    corrections: Float[Array, "rows own"],
    temperature: Float[Array, ""],
    k: int,
) -> Best:
    """`rank` where each query has a gallery of its own: the first `counts` of its `items`.

    Positions are those among its items; where there are fewer than k, the last scores are minus
    infinity.
    """

    def one(query: Any, items: Any, count: Any, correction: Any) -> Best:
        first = jnp.zeros(1, jnp.int32)
        part = Part(items, count)
        best = _best(query[None], first, part, correction[None], temperature, k)
        return Best(*(value[0] for value in best))

    found: Best = jax.vmap(one)(queries, items, counts, corrections)
    return found


def _best(
    queries: jax.Array,
    which: jax.Array,
    part: Part,
    corrections: jax.Array,
    temperature: jax.Array,
    k: int,
) -> Best:
    """See `rank`."""
    size, rows = part.places, queries.shape[0]

    def merge(best: Any, now: Chunk) -> tuple[Any, None]:
        places, counted, chunk = now.positions, now.counted, now.positions.shape[0]
        own = jax.lax.dynamic_slice_in_dim(corrections, now.first, chunk, axis=1)
        scores = now.scores - own[which]
        scores = jnp.where(scores == 0, 0.0, scores)  # -0.0 would lose to 0.0
        scores = jnp.where(counted[None, :] & ~(scores > _LOWEST), _LOWEST, scores)
        # The chunk's own best first: merging then copies k columns, not the whole chunk.
        own_best, own_at = jax.lax.top_k(scores, min(k, chunk))
        candidates = jnp.concatenate([best[0], own_best], axis=1)
        labels = jnp.concatenate([best[1], places[own_at]], axis=1)
        top, at = jax.lax.top_k(candidates, k)
        found = (top, jnp.take_along_axis(labels, at, axis=1))
        logits = jnp.where(counted[None, :], scores / temperature, -jnp.inf)
        return (*found, *_mass(best[2:], logits)), None

    nothing = (
        jnp.full((rows, k), -jnp.inf, jnp.float32),
        jnp.full((rows, k), size, jnp.int32),
        jnp.full(rows, _LOWEST, jnp.float32),
        jnp.zeros(rows, jnp.float32),
        jnp.zeros(rows, jnp.float32),
    )
    last, _ = scan_chunks(merge, nothing, queries, part, chunk=CHUNK)
    scores, positions, peak, mass, weighted = last
    # H = log Z - sum p logit, both in units of the largest logit, so that nothing overflows.
    entropy = jnp.log(mass) + peak - weighted / mass
    number = jnp.maximum(part.count, 2).astype(jnp.float32)
    # A query that is not finite, or that has no items, has no mass: it knows nothing.
    entropy = jnp.where(mass > 0, jnp.clip(entropy / jnp.log(number), 0.0, 1.0), 1.0)
    cosines = scores + corrections[which[:, None], positions]
    return Best(cosines, positions, entropy)


def _mass(before: Sequence[jax.Array], logits: Float[Array, "rows chunk"]) -> tuple[Any, ...]:
    """Largest logit, sum of exp and sum of exp times logit, with a chunk more."""
    peak, mass, weighted = before
    highest = jnp.maximum(peak, logits.max(axis=1))
    scale, own = jnp.exp(peak - highest), jnp.exp(logits - highest[:, None])
    finite = jnp.where(jnp.isfinite(logits), logits, 0.0)
    return (
        highest,
        mass * scale + own.sum(axis=1),
        weighted * scale + (own * finite).sum(axis=1),
    )


def padded(rows: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Rows padded with their last one to the smallest of the sizes that holds them."""
    count = len(rows)
    size = next((size for size in sizes if size >= count), count)
    return np.pad(rows, [(0, size - count)] + [(0, 0)] * (rows.ndim - 1), mode="edge")
