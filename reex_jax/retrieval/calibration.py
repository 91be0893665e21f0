"""Calibrated ranking: what the stream itself says about which gallery items are hubs.

An item that is near to very many different queries says little about any one of them. The log-mean
of exp(similarity / t) over the queries seen so far is taken back from its score: an inverted
softmax (Smith et al., ICLR 2017), kept online as one vector. "sinkhorn" first divides each query's
masses by their sum under the present correction: one online step of Sinkhorn's iteration
(relatives: QB-Norm, Bogolin et al., CVPR 2022; Dual Bank Sinkhorn, Pan et al., 2025). A query that
nearly repeats a recent one adds nothing: popular items are no hubs. When another sort of queries
arrives (`retrieval.shift`), all begins anew: the last sort's hubs are not theirs.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32

from reex_jax import hosts
from reex_jax.arrays import cosines
from reex_jax.retrieval.chunks import DEFAULT_CHUNK, Chunk, scan_chunks
from reex_jax.retrieval.part import Part, Searched, as_part
from reex_jax.retrieval.shift import Sort, follow, no_sort
from reex_jax.retrieval.softmax import softmax_over
from reex_jax.settings.ranking import Ranking

_EMPTY = -1e30  # log of no mass; finite, so that sums with it are numbers


class Calibration(NamedTuple):
    """What was seen of a stream.

    Attributes:
        log_mass: log of the sum over counted queries of exp(similarity / t); -1e30 at the start.
        seen: how many queries that sums.
        recent: the source model's embeddings of the last counted queries; unused rows are 0.
        sort: statistics of the queries since they last changed.
    """

    log_mass: Float[Array, " items"]
    seen: Float[Array, ""]
    recent: Float[Array, "recent dim"]
    sort: Sort


def nothing_seen(items: int, dim: int, settings: Ranking) -> Calibration:
    """The state before the first query: it changes no ranking."""
    recent = jnp.zeros((settings.recent, dim), jnp.float32)
    mass = jnp.full(items, _EMPTY, jnp.float32)
    return Calibration(mass, jnp.float32(0), recent, no_sort(dim))


class Arrival(NamedTuple):
    """What a batch is to the stream so far.

    Attributes:
        calibration: before the batch; empty where the queries are of another sort.
        counted: rows that are real and repeat neither a recent query nor an earlier row.
        changed: whether the queries are of another sort than those before.
    """

    calibration: Calibration
    counted: Bool[Array, " batch"]
    changed: Bool[Array, ""]


def arrive(
    state: Calibration,
    sources: Float[Array, "batch dim"],
    mask: Bool[Array, " batch"],
    settings: Ranking,
) -> Arrival:
    """Compares a batch with the stream before it; see `new_queries` and `shift.follow`."""
    counted = new_queries(state, sources, mask, settings)
    sort, changed = follow(state.sort, sources, counted, settings.shift_above)
    nothing = nothing_seen(len(state.log_mass), sources.shape[1], settings)
    kept = jax.tree.map(lambda new, old: jnp.where(changed, new, old), nothing, state)
    return Arrival(kept._replace(sort=sort), counted, changed)


def new_queries(
    state: Calibration,
    sources: Float[Array, "batch dim"],
    mask: Bool[Array, " batch"],
    settings: Ranking,
) -> Bool[Array, " batch"]:
    """Which rows are real and repeat neither a recent query nor an earlier row.

    Args:
        state: before this batch.
        sources: unit embeddings by the source model; those of an adapted one move, so that a repeat
            would look new.
        mask: False for padding.
        settings: say what a repeat is.
    """
    same = settings.repeated_from
    known = (cosines(sources, state.recent) > same).any(axis=1)
    rows = jnp.arange(mask.shape[0])
    earlier = (rows[:, None] > rows[None, :]) & mask[None, :]
    repeats = ((cosines(sources, sources) > same) & earlier).any(axis=1)
    return mask & ~known & ~repeats


def observe(
    state: Calibration,
    queries: Float[Array, "batch dim"],
    sources: Float[Array, "batch dim"],
    counted: Bool[Array, " batch"],
    gallery: Searched | None,
    temperature: Float[Array, ""],
    settings: Ranking,
    chunk: int = DEFAULT_CHUNK,
) -> Calibration:
    """The state with a batch in it; memory is that of one chunk of the gallery.

    Args:
        state: before this batch.
        queries: as they are ranked; rows that are not finite count nothing.
        sources: of the source model, see `new_queries`.
        counted: from `new_queries`.
        gallery: unit rows, or a part of them; None where nothing asks for hubs: no mass is added.
        temperature: the model's own.
        settings: say how.
        chunk: gallery rows at a time.
    """
    counted &= jnp.isfinite(queries).all(axis=1)
    mass = state.log_mass
    if gallery is not None:
        part = as_part(gallery)
        mass = _added_mass(state, queries, counted, part, temperature, settings, chunk)
    old = jnp.ones(state.recent.shape[0], bool)
    order = jnp.argsort(jnp.concatenate([old, counted]), stable=True)[-state.recent.shape[0] :]
    recent = jnp.concatenate([state.recent, sources])[order]
    seen = state.seen + counted.sum(dtype=jnp.float32)
    return state._replace(log_mass=mass, seen=seen, recent=recent)


def _added_mass(
    state: Calibration,
    queries: Float[Array, "batch dim"],
    counted: Bool[Array, " batch"],
    part: Part,
    temperature: Float[Array, ""],
    settings: Ranking,
    chunk: int,
) -> Float[Array, " items"]:
    """Each item's log mass with that of the counted queries."""
    queries = jnp.where(counted[:, None], queries, 0.0)
    t = settings.relative_temperature * temperature
    rows = jnp.zeros(queries.shape[0], jnp.float32)
    if settings.calibration == "sinkhorn":
        correction = t * hubness(state, settings)
        rows = softmax_over(queries, part, t, correction, chunk).log_sum

    def add(mass: jax.Array, now: Chunk) -> tuple[jax.Array, None]:
        # Rows that are no items, or that the chunk before had, are written again as they are.
        scores = jnp.where(now.counted[None, :], now.scores / t, 0.0) - rows[:, None]
        added = jax.nn.logsumexp(jnp.where(counted[:, None], scores, _EMPTY), axis=0)
        size = added.shape[0]
        before = jax.lax.dynamic_slice_in_dim(own, now.first, size)
        new = jax.lax.dynamic_slice_in_dim(mass, now.first, size)
        new = jnp.where(now.counted, jnp.logaddexp(before, added), new)
        return jax.lax.dynamic_update_slice_in_dim(mass, new, now.first, axis=0), None

    own = part.own(state.log_mass)
    mass, _ = scan_chunks(add, own, queries, part, chunk=chunk)
    return part.whole(mass)


def hubness(state: Calibration, settings: Ranking) -> Float[Array, " items"]:
    """What is taken back from similarity / t: n / (n + prior) times the centred log mass.

    0 before the first query, and for places without an item, which never have mass. The centre
    changes no order; without it numbers would grow.
    """
    known = state.log_mass > 0.5 * _EMPTY
    number = jnp.maximum(known.sum(dtype=jnp.float32), 1.0)
    centre = jnp.where(known, state.log_mass, 0.0).sum() / number
    weight = state.seen / (state.seen + settings.prior)
    return jnp.where(known & (state.seen > 0), weight * (state.log_mass - centre), 0.0)


def correction(
    state: Calibration, temperature: Float[Array, ""], settings: Ranking
) -> Float[Array, " items"]:
    """`hubness` in units of cosine: ranking goes by cosine minus this."""
    return settings.relative_temperature * temperature * hubness(state, settings)


def regrown(
    state: Calibration,
    origin: Int32[np.ndarray, " places"],
    items: Float[np.ndarray, "new dim"],
    temperature: Float[Array, ""],
    settings: Ranking,
) -> Calibration:
    """The state of another gallery; not for use inside `jax.jit`.

    New items get what the remembered queries say of them, scaled to all that were counted; with
    none remembered they have no mass, like the old. Of several processes each reads its share.

    Args:
        state: of the old gallery.
        origin: the old position of each place's item, -1 for new items and for free places.
        items: unit rows of the new items, in their order; free places come after them.
        temperature: the model's own.
        settings: say how.
    """
    mass = np.full(len(origin), _EMPTY, np.float32)
    old = origin >= 0
    mass[old] = np.asarray(state.log_mass)[origin[old]]
    if len(items):
        own = items[hosts.own_part(len(items))]
        found = np.empty(len(own), np.float32)
        for start in range(0, len(own), DEFAULT_CHUNK):
            piece = jnp.asarray(own[start : start + DEFAULT_CHUNK])
            found[start : start + len(piece)] = _new_mass(state, piece, temperature, settings)
        mass[np.flatnonzero(~old)[: len(items)]] = hosts.concatenated(found, len(items))
    return state._replace(log_mass=jnp.asarray(mass))


@partial(jax.jit, static_argnums=3)
def _new_mass(
    state: Calibration,
    items: Float[Array, "new dim"],
    temperature: Float[Array, ""],
    settings: Ranking,
) -> Float[Array, " new"]:
    used = (state.recent != 0).any(axis=1)
    t = settings.relative_temperature * temperature
    scores = jnp.where(used[:, None], cosines(state.recent, items) / t, _EMPTY)
    known = jnp.maximum(used.sum(dtype=jnp.float32), 1.0)
    scale = jnp.log(jnp.maximum(state.seen, 1.0) / known)
    return jnp.where(used.any(), jax.nn.logsumexp(scores, axis=0) + scale, _EMPTY)
