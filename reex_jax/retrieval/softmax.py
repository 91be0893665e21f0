"""Softmax over a gallery, in chunks: sums, entropies and mean predictions, with gradients.

Nothing of size queries x gallery ever exists: a first scan finds each query's normaliser, others
use it. Gradients flow to the queries; chunks are computed anew for them. Of a gallery that is split
over devices each one scans its own rows, and sums are taken over them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Int32

from reex_jax.retrieval.chunks import DEFAULT_CHUNK, Chunk, joined, scan_chunks
from reex_jax.retrieval.part import Searched, as_part

_LOW = -1e30  # below every score; finite, so that differences with it are numbers
_NONE = -1e9  # log of an empty sum


class Softmax(NamedTuple):
    """Of every query, over the items.

    Attributes:
        log_sum: log of the sum of exp(score / temperature); about -1e9 for no item.
        entropy: of the softmax, in nats.
        nearest: position of the best item; of equals the first.
    """

    log_sum: Float[Array, " batch"]
    entropy: Float[Array, " batch"]
    nearest: Int32[Array, " batch"]


class _Sums(NamedTuple):
    """Sums relative to the largest logit so far; they do not depend on which one that is."""

    peak: Float[Array, " batch"]
    nearest: Int32[Array, " batch"]
    mass: Float[Array, " batch"]
    moment: Float[Array, " batch"]


def softmax_over(
    queries: Float[Array, "batch dim"],
    gallery: Searched,
    temperature: Float[Array, ""],
    correction: Float[Array, " places"] | None = None,
    chunk: int = DEFAULT_CHUNK,
    without: Int[Array, "batch left_out"] | None = None,
) -> Softmax:
    """The softmax of (cosine - correction) / temperature.

    Args:
        queries: unit rows; gradients flow to them.
        gallery: unit rows, or a part of them.
        temperature: a number above 0.
        correction: what is taken from each item's scores.
        chunk: rows at a time.
        without: positions that do not count, for each query its own.
    """
    part = as_part(gallery)

    def add(sums: _Sums, now: Chunk) -> tuple[_Sums, None]:
        counted = jnp.broadcast_to(now.counted[None, :], now.scores.shape)
        if without is not None:
            counted &= ~(without[:, :, None] == now.positions[None, None, :]).any(axis=1)
        logits = jnp.where(counted, now.scores / temperature, _LOW)
        best = jax.lax.stop_gradient(logits)
        at = jnp.argmax(best, axis=1)
        highest = jnp.take_along_axis(best, at[:, None], axis=1)[:, 0]
        nearest = jnp.where(highest > sums.peak, now.positions[at], sums.nearest)
        sums = _relative_to(sums, jnp.maximum(sums.peak, highest))
        below = jnp.where(counted, logits - sums.peak[:, None], 0.0)
        mass = jnp.where(counted, jnp.exp(below), 0.0)
        return _Sums(
            sums.peak,
            nearest,
            sums.mass + mass.sum(axis=1),
            sums.moment + (mass * below).sum(axis=1),
        ), None

    zeros = jnp.zeros(queries.shape[0], jnp.float32)
    nothing = _Sums(zeros + _LOW, jnp.zeros(queries.shape[0], jnp.int32), zeros, zeros)
    sums, _ = scan_chunks(add, nothing, queries, part, correction, chunk, differentiable=True)
    peak = part.max(sums.peak)
    # Of equal peaks the one on the first device, whose positions are lower.
    nearest = -part.max(-jnp.where(sums.peak == peak, sums.nearest, part.places))
    sums = _relative_to(sums, peak)
    mass, moment = part.sum((sums.mass, sums.moment))
    some = mass > 0
    mass = jnp.where(some, mass, 1.0)
    log_sum = jnp.where(some, peak + jnp.log(mass), _NONE)
    return Softmax(log_sum, jnp.where(some, jnp.log(mass) - moment / mass, 0.0), nearest)


def _relative_to(sums: _Sums, peak: Float[Array, " batch"]) -> _Sums:
    change = sums.peak - peak
    scale = jnp.exp(change)
    moment = (sums.moment + change * sums.mass) * scale
    return _Sums(peak, sums.nearest, sums.mass * scale, moment)


def mean_prediction(
    queries: Float[Array, "batch dim"],
    gallery: Searched,
    temperature: Float[Array, ""],
    log_sum: Float[Array, " batch"],
    weights: Float[Array, " batch"],
    chunk: int = DEFAULT_CHUNK,
) -> Float[Array, " places"]:
    """sum of weights * softmax over the queries, for every place; 0 for free ones.

    Args:
        queries: unit rows; gradients flow to them.
        gallery: unit rows, or a part of them.
        temperature: of the softmax.
        log_sum: of the same softmax, see `softmax_over`.
        weights: one for each query; 0 leaves it out.
        chunk: rows at a time.
    """
    part = as_part(gallery)

    def add(nothing: tuple[()], now: Chunk) -> tuple[tuple[()], jax.Array]:
        p = _probabilities(now, temperature, log_sum)
        return nothing, jnp.where(weights[:, None] != 0, weights[:, None] * p, 0.0).sum(axis=0)

    _, parts = scan_chunks(add, (), queries, part, chunk=chunk, differentiable=True)
    return part.whole(joined(parts, part.rows.shape[0]))


def prediction_products(
    queries: Float[Array, "batch dim"],
    gallery: Searched,
    temperature: Float[Array, ""],
    log_sum: Float[Array, " batch"],
    values: Float[Array, " places"],
    chunk: int = DEFAULT_CHUNK,
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """Each query's softmax, times `values` and times itself, summed over the items."""
    part = as_part(gallery)
    own = part.own(values)

    def add(sums: jax.Array, now: Chunk) -> tuple[jax.Array, None]:
        p = _probabilities(now, temperature, log_sum)
        here = jax.lax.dynamic_slice_in_dim(own, now.first, p.shape[1])
        return sums + jnp.stack([(p * here[None, :]).sum(axis=1), (p * p).sum(axis=1)]), None

    zeros = jnp.zeros((2, queries.shape[0]), jnp.float32)
    sums, _ = scan_chunks(add, zeros, queries, part, chunk=chunk)
    with_values, with_itself = part.sum(sums)
    return with_values, with_itself


def _probabilities(
    now: Chunk, temperature: Float[Array, ""], log_sum: Float[Array, " batch"]
) -> Float[Array, "batch chunk"]:
    counted = now.counted[None, :]
    logits = jnp.where(counted, now.scores / temperature - log_sum[:, None], 0.0)
    return jnp.where(counted, jnp.exp(logits), 0.0)
