"""EPCL: exclusion-guided proxy contrastive learning, the adaptation of ReEx.

The formulas are our reading of the paper's abstract; see docs/method.md. Axes: a batch of queries,
items of the gallery, candidates (the batch's proxies, or the gallery's items), dim of an embedding.
"""

from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

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


class EpclState(NamedTuple):
    """Memory of EPCL.

    Attributes:
        threshold: entropy up to which a query is confident; NaN before the first batch.
        pairs: the most source-like pairs.
    """

    threshold: Float[Array, ""]
    pairs: SourcePairs


def epcl(settings: Reex) -> Objective:
    """Confident queries commit to their proxy, ambiguous ones only rule out what is unlikely.

    With tau = relative_temperature * the model's own, proxy c_i of query z_i, exclusion set E_i
    and e_ij = exp(z_i.c_j / tau), a confident query's L_i is the entropy of the distribution
    e_ij / (e_ii + sum_{j in E_i} e_ij) over its proxy and E_i (commit "entropy"; it forgives a
    wrong proxy, because unsure queries pull little), or -log of the proxy's share ("proxy"). An
    ambiguous query has L_i = -log of the share of its mass that lies outside E_i. The loss is the
    mean of L_i plus TCR's uniformity and gap terms.
    """
    candidates = {"batch": batch_candidates, "gallery": gallery_candidates}[settings.pool]

    def init(start: Start) -> EpclState:
        return EpclState(jnp.float32(jnp.nan), no_pairs(start))

    def loss(batch: Batch, state: EpclState) -> Loss:
        similarities = jax.lax.stop_gradient(batch.similarities)
        entropies = entropy(log_softmax_at(similarities, batch.temperature))
        threshold = moving_threshold(state.threshold, batch, entropies, settings)
        confident = batch.mask & (entropies <= threshold)
        pool = candidates(batch, similarities, k=settings.k, p=settings.p)
        each = exclusion_loss(pool, confident, batch, settings)
        pairs = remember_pairs(
            state.pairs,
            batch,
            pool.proxies,
            entropies,
            share=settings.share,
            batches=settings.batches,
        )
        value = masked_mean(each, batch.mask)
        value += settings.uniformity_weight * uniformity_loss(batch)
        value += settings.gap_weight * gap_loss(batch, pool.proxies, pairs)
        return Loss(
            value,
            EpclState(threshold, pairs),
            confident=masked_share(confident, batch.mask),
            decay=settings.source_decay,
        )

    return Objective(loss, init)


def moving_threshold(
    threshold: Float[Array, ""], batch: Batch, entropies: Float[Array, " batch"], settings: Reex
) -> Float[Array, ""]:
    """The confidence threshold, moved once a batch, at its first step."""
    own = masked_quantile(entropies, batch.mask, settings.quantile)
    moved = settings.momentum * threshold + (1 - settings.momentum) * own
    moved = jnp.where(jnp.isnan(threshold), own, moved)
    return jnp.where(batch.step == 0, moved, threshold)


class Pool(NamedTuple):
    """The candidates of a batch.

    Attributes:
        proxies: unit rows, one of each query.
        own: z_i.c_i.
        similarities: z_i with every candidate.
        counted: candidates that count at all (no padding).
        excluded: the exclusion sets.
    """

    proxies: Float[Array, "batch dim"]
    own: Float[Array, " batch"]
    similarities: Float[Array, "batch candidates"]
    counted: Bool[Array, "batch candidates"]
    excluded: Bool[Array, "batch candidates"]


def exclusion_loss(
    pool: Pool, confident: Bool[Array, " batch"], batch: Batch, settings: Reex
) -> Float[Array, " batch"]:
    """L_i of every query; 0 for those that `split` keeps from learning."""
    tau = settings.relative_temperature * batch.temperature
    constant = jax.lax.stop_gradient(pool.similarities)
    excluded = restrict(pool.excluded, constant, settings.strategy, settings.m, batch.key)
    weights = {"confident": 1.0, "ambiguous": settings.ambiguous_weight}
    learn = {part: w * (settings.split in ("both", part)) for part, w in weights.items()}
    committed = learn["confident"] * COMMIT_LOSSES[settings.commit](pool, excluded, tau)
    return jnp.where(confident, committed, learn["ambiguous"] * rule_out(pool, excluded, tau))


def proxies_of(
    similarities: Float[Array, "batch items"], gallery: Float[Array, "items dim"], p: int
) -> tuple[Float[Array, "batch dim"], Int32[Array, " batch"]]:
    """Each query's proxy: the similarity-weighted mean of its p nearest items, normalised.

    Args:
        similarities: negative ones weigh nothing, unless the nearest is negative.
        gallery: unit rows.
        p: from 1.

    Returns:
        proxies, unit rows, and the positions of the nearest items.
    """
    near, items = jax.lax.top_k(similarities, min(p, similarities.shape[1]))
    weights = jnp.maximum(near, 0.0).at[:, 0].set(jnp.where(near[:, 0] > 0, near[:, 0], 1.0))
    means = (weights[:, :, None] * gallery[items]).sum(axis=1)
    return unit(means), items[:, 0]


def batch_candidates(
    batch: Batch, similarities: Float[Array, "batch items"], *, k: int, p: int
) -> Pool:
    """Candidates are the proxies of the batch."""
    proxies, items = proxies_of(similarities, batch.gallery, p)
    with_proxies = cosines(batch.queries, proxies)
    excluded = exclude_candidates(plausible_sets(similarities, k), items, batch.mask)
    counted = jnp.broadcast_to(batch.mask[None, :], excluded.shape)
    return Pool(proxies, jnp.diagonal(with_proxies), with_proxies, counted, excluded)


def gallery_candidates(
    batch: Batch, similarities: Float[Array, "batch items"], *, k: int, p: int
) -> Pool:
    """Candidates are all items of the gallery; the proxy stays what is committed to."""
    proxies, items = proxies_of(similarities, batch.gallery, p)
    own = (batch.queries * proxies).sum(axis=1)
    excluded = exclude_gallery(plausible_sets(similarities, k), similarities.shape[1])
    # With k = 0 the nearest item must still not be its own negative.
    excluded = excluded.at[jnp.arange(len(items)), items].set(False)
    return Pool(proxies, own, batch.similarities, jnp.ones_like(excluded), excluded)


def commit_proxy(
    pool: Pool, excluded: Bool[Array, "batch candidates"], tau: Float[Array, ""]
) -> Float[Array, " batch"]:
    """-log(e_own / (e_own + sum over E))."""
    # -log(a / (a + b)) is softplus(log b - log a): exact where b is tiny.
    return jax.nn.softplus(_log_sum(pool.similarities / tau, excluded) - pool.own / tau)


def commit_entropy(
    pool: Pool, excluded: Bool[Array, "batch candidates"], tau: Float[Array, ""]
) -> Float[Array, " batch"]:
    """Entropy of the softmax over a query's own proxy and E, in nats."""
    others = jnp.where(excluded, pool.similarities / tau, -jnp.inf)
    logits = jnp.concatenate([pool.own[:, None] / tau, others], axis=1)
    return entropy(jax.nn.log_softmax(logits, axis=1))


COMMIT_LOSSES = MappingProxyType({"entropy": commit_entropy, "proxy": commit_proxy})
"""`settings.methods.COMMITS` -> what a confident query minimises."""


def rule_out(
    pool: Pool, excluded: Bool[Array, "batch candidates"], tau: Float[Array, ""]
) -> Float[Array, " batch"]:
    """-log(sum over the plausible / sum over the plausible and E).

    Candidates outside the plausible sets that `excluded` leaves out count for neither side.
    """
    logits = pool.similarities / tau
    plausible = _log_sum(logits, pool.counted & ~pool.excluded)
    return jax.nn.softplus(_log_sum(logits, excluded) - plausible)


def _log_sum(
    logits: Float[Array, "batch candidates"], mask: Bool[Array, "batch candidates"]
) -> Float[Array, " batch"]:
    """log sum exp over a mask; an empty sum is about -1e9, with gradient 0."""
    return jax.nn.logsumexp(jnp.where(mask, logits, -1e9), axis=1)
