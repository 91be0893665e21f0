"""What EPCL holds against a query: candidates of its batch and of recent ones, or a whole gallery.

The gallery is scanned in chunks, and may be split over devices; nothing of size queries x gallery
exists.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from reex_jax.adaptation.candidates import Memory
from reex_jax.adaptation.exclusion import (
    exclude_candidates,
    places_at_random,
    restrict,
)
from reex_jax.adaptation.masked import per_row_keys
from reex_jax.adaptation.objective import Batch
from reex_jax.arrays import cosines, entropy, unit
from reex_jax.retrieval.chunks import Chunk, scan_chunks
from reex_jax.retrieval.softmax import softmax_over
from reex_jax.retrieval.topk import Found, best_items, best_of_devices, keep_best, nothing_found
from reex_jax.settings.methods import Reex

_NOTHING = -1e9  # the logit of what does not count


class Near(NamedTuple):
    """What is near to each query, by calibrated score; constant.

    Attributes:
        proxies: unit rows, one of each query.
        items: gallery positions of the best items.
        plausible: gallery positions of the k best, behind all items where there are fewer.
        entropies: of the calibrated softmax over the gallery, in nats.
    """

    proxies: Float[Array, "batch dim"]
    items: Int32[Array, " batch"]
    plausible: Int32[Array, "batch k"]
    entropies: Float[Array, " batch"]


def nearest_items(batch: Batch, hubs: Float[Array, " places"], settings: Reex) -> Near:
    """Scans the gallery for what is near; `hubs` is what calibration takes from each item."""
    places = batch.part.places
    k, p = min(settings.k, places), min(settings.p, places)
    scores, positions = batch.best(max(k, p), hubs)
    queries = jax.lax.stop_gradient(batch.queries)
    softmax = softmax_over(queries, batch.part, batch.temperature, hubs)
    proxies = proxies_of(scores[:, :p], batch.part.at(positions[:, :p]))
    return Near(proxies, positions[:, 0], positions[:, :k], softmax.entropy)


def proxies_of(
    scores: Float[Array, "batch p"], items: Float[Array, "batch p dim"]
) -> Float[Array, "batch dim"]:
    """Each query's proxy: the score-weighted mean of its p best items, normalised.

    Args:
        scores: best first; negative ones weigh nothing, unless the best is negative.
        items: unit rows.
    """
    weights = jnp.maximum(scores, 0.0)
    weights = weights.at[:, 0].set(jnp.where(scores[:, 0] > 0, scores[:, 0], 1.0))
    return unit((weights[:, :, None] * items).sum(axis=1))


class Rivals(NamedTuple):
    """Logits of what a query's loss is about; gradients flow through all of them.

    Attributes:
        own: of the query's own proxy.
        excluded: log of the summed exponentials over E, the exclusion set that `strategy` leaves.
        entropy: of the softmax over E, in nats.
        plausible: as `excluded`, over the candidates outside the whole exclusion set.
    """

    own: Float[Array, " batch"]
    excluded: Float[Array, " batch"]
    entropy: Float[Array, " batch"]
    plausible: Float[Array, " batch"]


def rivals_in_batch(
    batch: Batch, memory: Memory, near: Near, hubs: Float[Array, " places"], settings: Reex
) -> Rivals:
    """Of the candidates of this batch and of recent queries."""
    tau = batch.at(settings.relative_temperature)
    others = jnp.concatenate([near.items, memory.items])
    vectors = jnp.concatenate([near.proxies, batch.part.at(memory.items)])
    logits = (cosines(batch.queries, vectors) - hubs[others][None, :]) / tau
    real = jnp.concatenate([batch.mask, memory.known])
    outside = exclude_candidates(near.plausible, others, real)
    constant = jax.lax.stop_gradient(logits)
    kept = restrict(outside, constant, settings.strategy, settings.m, batch.key)
    plausible = _log_sum(logits, real[None, :] & ~outside)
    return Rivals(_own(batch, near, hubs, tau), *_over(logits, kept), plausible)


def rivals_in_gallery(
    batch: Batch, memory: Memory, near: Near, hubs: Float[Array, " places"], settings: Reex
) -> Rivals:
    """Of all items of the gallery."""
    del memory
    tau = batch.at(settings.relative_temperature)
    # With k = 0 the nearest item must still not be its own negative.
    inside = near.plausible if near.plausible.shape[1] else near.items[:, None]
    logits, real = _logits_of(batch, inside, hubs, tau)
    plausible, own = _log_sum(logits, real), _own(batch, near, hubs, tau)
    if settings.strategy == "outside_top_k":
        softmax = softmax_over(batch.queries, batch.part, tau, hubs, without=inside)
        return Rivals(own, softmax.log_sum, softmax.entropy, plausible)
    # So many that m are left when the plausible ones among them are taken out.
    number = min(settings.m + inside.shape[1], batch.part.places)
    found = _ordered(batch, hubs, settings.strategy, number)
    is_inside = (found[:, :, None] == inside[:, None, :]).any(axis=2)
    kept = jnp.argsort(is_inside, axis=1, stable=True)[:, : settings.m]
    logits, real = _logits_of(batch, jnp.take_along_axis(found, kept, axis=1), hubs, tau)
    real &= ~jnp.take_along_axis(is_inside, kept, axis=1)
    return Rivals(own, *_over(logits, real), plausible)


FindRivals = Callable[[Batch, Memory, Near, jax.Array, Reex], Rivals]

RIVALS: Mapping[str, FindRivals] = MappingProxyType(
    {"batch": rivals_in_batch, "gallery": rivals_in_gallery}
)
"""`settings.methods.POOLS` -> where rivals come from."""


def _ordered(
    batch: Batch, hubs: Float[Array, " places"], strategy: str, number: int
) -> Int32[Array, "batch {number}"]:
    """The first `number` items of the gallery for each query, in a strategy's order."""
    queries = jax.lax.stop_gradient(batch.queries)
    if strategy == "next_m":
        return best_items(queries, batch.part, number, hubs)[1]
    if strategy == "bottom_m":
        return best_items(-queries, batch.part, number, -hubs)[1]
    keys, part = per_row_keys(batch.key, queries.shape[0]), batch.part

    def merge(best: Found, now: Chunk) -> tuple[Found, None]:
        values = jnp.where(now.counted[None, :], places_at_random(keys, now.positions), -jnp.inf)
        return keep_best(best, values, now.positions), None

    nothing = nothing_found(queries.shape[0], min(number, part.rows.shape[0]), part)
    best, _ = scan_chunks(merge, nothing, queries, part)
    return best_of_devices(best, part, number)[1]


def _logits_of(
    batch: Batch,
    positions: Int32[Array, "batch some"],
    hubs: Float[Array, " places"],
    tau: Float[Array, ""],
) -> tuple[Float[Array, "batch some"], Bool[Array, "batch some"]]:
    """Logits of some items for each query, and which of them there are."""
    cosine = (batch.queries[:, None, :] * batch.part.at(positions)).sum(axis=2)
    real = positions < batch.part.count
    return (cosine - hubs[jnp.where(real, positions, 0)]) / tau, real


def _own(
    batch: Batch, near: Near, hubs: Float[Array, " places"], tau: Float[Array, ""]
) -> Float[Array, " batch"]:
    return ((batch.queries * near.proxies).sum(axis=1) - hubs[near.items]) / tau


def _over(
    logits: Float[Array, "batch some"], mask: Bool[Array, "batch some"]
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """Log-sum and entropy of a softmax over a mask."""
    known = jnp.where(mask, logits, _NOTHING)
    return _log_sum(logits, mask), entropy(jax.nn.log_softmax(known, axis=1))


def _log_sum(
    logits: Float[Array, "batch some"], mask: Bool[Array, "batch some"]
) -> Float[Array, " batch"]:
    """log sum exp over a mask; an empty sum is about -1e9, with gradient 0."""
    return jax.nn.logsumexp(jnp.where(mask, logits, _NOTHING), axis=1)
