"""EPCL: exclusion-guided proxy contrastive learning, the adaptation of ReEx.

The formulas are our reading of the paper's abstract; see docs/method.md.
"""

from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32

from reex_jax.adaptation.candidates import Memory, moved, no_candidates, remember
from reex_jax.adaptation.exclusion import (
    exclude_candidates,
    exclude_gallery,
    plausible_sets,
    restrict,
)
from reex_jax.adaptation.masked import masked_mean, masked_quantile, masked_share
from reex_jax.adaptation.objective import Batch, Loss, Objective, Start
from reex_jax.adaptation.source_pairs import (
    SourcePairs,
    gap_loss,
    no_pairs,
    remember_pairs,
    uniformity_loss,
)
from reex_jax.arrays import cosines, entropy, log_softmax_at, unit
from reex_jax.settings.methods import Reex

UNIFORMITY_FROM = 4
"""Queries whose spread says something."""


class EpclState(NamedTuple):
    """Memory of EPCL.

    Attributes:
        before: candidates of the queries before this batch.
        now: the same with this batch, as its last step saw it.
        pairs: TCR's most source-like pairs, for the gap term.
    """

    before: Memory
    now: Memory
    pairs: SourcePairs


def epcl(settings: Reex) -> Objective:
    """Every query rules out what is unlikely for it; confident ones may commit to their proxy.

    Scores s_ij = z_i.g_j - h_j are calibrated: h is what the stream shows of hubs. With tau =
    relative_temperature * the model's own, proxy c_i of query z_i (its best item), candidates from
    this batch and from recent queries, exclusion set E_i (candidates that are not among its k best
    items) and e_ij = exp(s_ij / tau), a query has L_i = -log of the share of its candidates' mass
    that lies outside E_i. A confident query (with `quantile` 0 there is none) minimises the entropy
    of e_ij / (e_ii + sum_{j in E_i} e_ij) over its proxy and E_i instead (commit "entropy"), or
    -log of the proxy's share ("proxy"). The loss is the mean of L_i plus TCR's uniformity and, if
    weighted, gap terms. Rate and pull to the source fall with the batch's size; queries of another
    sort put the model back to the source.
    """

    def init(start: Start) -> EpclState:
        empty = no_candidates(settings.memory)
        return EpclState(empty, empty, no_pairs(start))

    def loss(batch: Batch, state: EpclState) -> Loss:
        first = batch.step == 0
        before = jax.tree.map(lambda a, b: jnp.where(first, a, b), state.now, state.before)
        hubs = batch.correction() if settings.calibrated else jnp.zeros(len(batch.gallery))
        scores = jax.lax.stop_gradient(batch.similarities) - hubs[None, :]
        entropies = entropy(log_softmax_at(scores, batch.temperature))
        confident = confident_queries(batch, before, entropies, settings.quantile)
        pool = candidates(batch, before, scores, hubs, settings)
        pairs = remember_pairs(
            state.pairs,
            batch,
            pool.proxies,
            entropies,
            share=settings.share,
            batches=settings.batches,
        )
        value = masked_mean(exclusion_loss(pool, confident, batch, settings), batch.mask)
        spread = jnp.where(batch.count >= UNIFORMITY_FROM, uniformity_loss(batch), 0.0)
        value += settings.uniformity_weight * spread
        value += settings.gap_weight * gap_loss(batch, pool.proxies, pairs)
        number = batch.counted.sum(dtype=jnp.float32)
        rate = jnp.minimum(number / settings.full_batch, 1.0)
        return Loss(
            value,
            EpclState(before, remember(before, pool.items, entropies, batch.counted), pairs),
            confident=masked_share(confident, batch.mask),
            moves=number > 0,
            restore=batch.changed & first & jnp.bool_(settings.restart),
            rate=rate,
            decay=settings.source_decay * rate,
        )

    def regrown(state: EpclState, origin: np.ndarray) -> EpclState:
        return state._replace(before=moved(state.before, origin), now=moved(state.now, origin))

    return Objective(loss, init, adam_eps=settings.adam_eps, regrown=regrown)


def confident_queries(
    batch: Batch, memory: Memory, entropies: Float[Array, " batch"], quantile: float
) -> Bool[Array, " batch"]:
    """Queries whose entropy is in the lowest `quantile` of this batch's and recent queries'."""
    known = jnp.concatenate([entropies, memory.entropies])
    real = jnp.concatenate([batch.mask, memory.known])
    threshold = masked_quantile(known, real, quantile)
    return batch.mask & (entropies <= threshold) & jnp.bool_(quantile > 0)


class Pool(NamedTuple):
    """The candidates of a batch.

    Attributes:
        proxies: unit rows, one of each query.
        items: gallery positions of the best items.
        own: logit of each query's own proxy.
        logits: of every candidate; gradients flow through them.
        counted: candidates that count at all (no padding).
        excluded: the exclusion sets.
    """

    proxies: Float[Array, "batch dim"]
    items: Int32[Array, " batch"]
    own: Float[Array, " batch"]
    logits: Float[Array, "batch candidates"]
    counted: Bool[Array, "batch candidates"]
    excluded: Bool[Array, "batch candidates"]


def candidates(
    batch: Batch,
    memory: Memory,
    scores: Float[Array, "batch items"],
    hubs: Float[Array, " items"],
    settings: Reex,
) -> Pool:
    """Proxies of the batch and of recent queries, or all items of the gallery.

    Args:
        batch: the queries.
        memory: of recent ones.
        scores: calibrated similarities, constant.
        hubs: what calibration takes from each item.
        settings: say which.
    """
    tau = settings.relative_temperature * batch.temperature
    proxies, items = proxies_of(scores, batch.gallery, settings.p)
    plausible = plausible_sets(scores, settings.k)
    own = ((batch.queries * proxies).sum(axis=1) - hubs[items]) / tau
    if settings.pool == "gallery":
        excluded = exclude_gallery(plausible, scores.shape[1])
        # With k = 0 the nearest item must still not be its own negative.
        excluded = excluded.at[jnp.arange(len(items)), items].set(False)
        logits = (batch.similarities - hubs[None, :]) / tau
        return Pool(proxies, items, own, logits, jnp.ones_like(excluded), excluded)
    others = jnp.concatenate([items, memory.items])
    vectors = jnp.concatenate([proxies, batch.gallery[memory.items]])
    logits = (cosines(batch.queries, vectors) - hubs[others][None, :]) / tau
    real = jnp.concatenate([batch.mask, memory.known])
    counted = jnp.broadcast_to(real[None, :], logits.shape)
    return Pool(proxies, items, own, logits, counted, exclude_candidates(plausible, others, real))


def exclusion_loss(
    pool: Pool, confident: Bool[Array, " batch"], batch: Batch, settings: Reex
) -> Float[Array, " batch"]:
    """L_i of every query; 0 for those that `split` keeps from learning."""
    constant = jax.lax.stop_gradient(pool.logits)
    excluded = restrict(pool.excluded, constant, settings.strategy, settings.m, batch.key)
    weights = {"confident": 1.0, "ambiguous": settings.ambiguous_weight}
    learn = {part: w * (settings.split in ("both", part)) for part, w in weights.items()}
    committed = learn["confident"] * COMMIT_LOSSES[settings.commit](pool, excluded)
    return jnp.where(confident, committed, learn["ambiguous"] * rule_out(pool, excluded))


def proxies_of(
    scores: Float[Array, "batch items"], gallery: Float[Array, "items dim"], p: int
) -> tuple[Float[Array, "batch dim"], Int32[Array, " batch"]]:
    """Each query's proxy: the score-weighted mean of its p best items, normalised.

    Args:
        scores: negative ones weigh nothing, unless the best is negative.
        gallery: unit rows.
        p: from 1.

    Returns:
        proxies, unit rows, and the positions of the best items.
    """
    near, items = jax.lax.top_k(scores, min(p, scores.shape[1]))
    weights = jnp.maximum(near, 0.0).at[:, 0].set(jnp.where(near[:, 0] > 0, near[:, 0], 1.0))
    means = (weights[:, :, None] * gallery[items]).sum(axis=1)
    return unit(means), items[:, 0]


def commit_proxy(pool: Pool, excluded: Bool[Array, "batch candidates"]) -> Float[Array, " batch"]:
    """-log(e_own / (e_own + sum over E))."""
    # -log(a / (a + b)) is softplus(log b - log a): exact where b is tiny.
    return jax.nn.softplus(_log_sum(pool.logits, excluded) - pool.own)


def commit_entropy(pool: Pool, excluded: Bool[Array, "batch candidates"]) -> Float[Array, " batch"]:
    """Entropy of the softmax over a query's own proxy and E, in nats."""
    others = jnp.where(excluded, pool.logits, -jnp.inf)
    logits = jnp.concatenate([pool.own[:, None], others], axis=1)
    return entropy(jax.nn.log_softmax(logits, axis=1))


COMMIT_LOSSES = MappingProxyType({"entropy": commit_entropy, "proxy": commit_proxy})
"""`settings.methods.COMMITS` -> what a confident query minimises."""


def rule_out(pool: Pool, excluded: Bool[Array, "batch candidates"]) -> Float[Array, " batch"]:
    """-log(sum over the plausible / sum over the plausible and E).

    Candidates outside the plausible sets that `excluded` leaves out count for neither side.
    """
    plausible = _log_sum(pool.logits, pool.counted & ~pool.excluded)
    return jax.nn.softplus(_log_sum(pool.logits, excluded) - plausible)


def _log_sum(
    logits: Float[Array, "batch candidates"], mask: Bool[Array, "batch candidates"]
) -> Float[Array, " batch"]:
    """log sum exp over a mask; an empty sum is about -1e9, with gradient 0."""
    return jax.nn.logsumexp(jnp.where(mask, logits, -1e9), axis=1)
