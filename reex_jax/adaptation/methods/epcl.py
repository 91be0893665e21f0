"""EPCL: exclusion-guided proxy contrastive learning, the adaptation of ReEx.

The formulas are our reading of the paper's abstract; see docs/method.md. Letters: B batch, N
gallery, d width, M candidates (B proxies, or the N items of the gallery).
"""

from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp

from reex_jax.adaptation.exclusion import (
    STRATEGIES,
    exclude_candidates,
    exclude_gallery,
    plausible_sets,
    restrict,
)
from reex_jax.adaptation.masked import entropy, log_softmax_at, masked_mean, masked_quantile
from reex_jax.adaptation.objective import Batch, Loss, Objective, Start
from reex_jax.adaptation.settings import check_positive, check_share, check_weights, check_whole
from reex_jax.adaptation.source_pairs import (
    SourcePairs,
    gap_loss,
    no_pairs,
    remember_pairs,
    uniformity_loss,
)
from reex_jax.models.clip.model import unit
from reex_jax.settings.checks import one_of

POOLS = ("batch", "gallery")
SPLITS = ("both", "confident", "ambiguous", "none")


class EpclState(NamedTuple):
    """Memory of EPCL.

    Attributes:
        threshold: entropy up to which a query is confident; NaN before the first batch.
        pairs: the most source-like pairs.
    """

    threshold: jax.Array
    pairs: SourcePairs


def epcl(
    k: int = 20,
    p: int = 1,
    pool: str = "batch",
    strategy: str = "outside_top_k",
    m: int = 50,
    split: str = "both",
    commit: str = "entropy",
    relative_temperature: float = 3.0,
    quantile: float = 0.5,
    momentum: float = 0.9,
    ambiguous_weight: float = 1.0,
    uniformity_weight: float = 1.0,
    gap_weight: float = 1.0,
    source_decay: float = 0.0,
    share: float = 0.3,
    batches: int = 10,
) -> Objective:
    """Confident queries commit to their proxy, ambiguous ones only rule out what is unlikely.

    With tau = relative_temperature / exp(logit_scale), proxy c_i of query z_i, exclusion set E_i
    and e_ij = exp(z_i.c_j / tau), a confident query's L_i is the entropy of the distribution
    e_ij / (e_ii + sum_{j in E_i} e_ij) over its proxy and E_i (commit "entropy"; it forgives a
    wrong proxy, because unsure queries pull little), or -log of the proxy's share ("proxy"). An
    ambiguous query has L_i = -log of the share of its mass that lies outside E_i. The loss is the
    mean of L_i plus TCR's uniformity and gap terms.

    Args:
        k: size of the plausible set; 0 switches exclusion off (all others are negatives).
        p: the proxy is the similarity-weighted mean of so many nearest items.
        pool: candidates: the "batch" of proxies, or the whole "gallery".
        strategy: which of the implausible candidates are excluded, see `restrict`.
        m: how many, for the strategies that choose.
        split: which queries learn: "both", only "confident", only "ambiguous", or "none".
        commit: what a confident query minimises, "entropy" or "proxy".
        relative_temperature: tau in units of the model's own temperature.
        quantile: of the batch's entropies, up to which queries are confident.
        momentum: of the moving average of that quantile.
        ambiguous_weight: of the ambiguous queries' L_i.
        uniformity_weight: of TCR's UNI.
        gap_weight: of TCR's EMG.
        source_decay: share of the way back to the source that parameters go after each step; for
            long and continual streams, which drift without it.
        share, batches: which pairs count as source-like, see `tcr`.

    Raises:
        UserError: a value out of range.
    """
    check_whole(0, k=k)
    check_whole(1, p=p, m=m, batches=batches)
    one_of(POOLS)("pool", pool)
    one_of(STRATEGIES)("strategy", strategy)
    one_of(SPLITS)("split", split)
    one_of(COMMITS)("commit", commit)
    check_positive(relative_temperature=relative_temperature)
    check_share(quantile=quantile, momentum=momentum, share=share, source_decay=source_decay)
    check_weights(
        ambiguous_weight=ambiguous_weight,
        uniformity_weight=uniformity_weight,
        gap_weight=gap_weight,
    )
    weights = {"confident": 1.0, "ambiguous": ambiguous_weight}
    learn = {part: w * (split in ("both", part)) for part, w in weights.items()}
    candidates = {"batch": batch_candidates, "gallery": gallery_candidates}[pool]

    def init(start: Start) -> EpclState:
        return EpclState(jnp.float32(jnp.nan), no_pairs(start))

    def loss(batch: Batch, state: EpclState) -> Loss:
        similarities = jax.lax.stop_gradient(batch.similarities)
        entropies = entropy(log_softmax_at(similarities, batch.temperature))
        threshold = moving_threshold(state.threshold, batch, entropies, quantile, momentum)
        confident = batch.mask & (entropies <= threshold)
        tau = relative_temperature * batch.temperature
        pool = candidates(batch, similarities, k=k, p=p)
        excluded = restrict(
            pool.excluded, jax.lax.stop_gradient(pool.similarities), strategy, m, batch.key
        )
        committed = COMMITS[commit](pool, excluded, tau)
        ruled_out = rule_out(pool, excluded, tau)
        each = jnp.where(confident, learn["confident"] * committed, learn["ambiguous"] * ruled_out)
        pairs = remember_pairs(
            state.pairs, batch, pool.proxies, entropies, share=share, batches=batches
        )
        value = masked_mean(each, batch.mask)
        value += uniformity_weight * uniformity_loss(batch)
        value += gap_weight * gap_loss(batch, pool.proxies, pairs)
        share_confident = masked_mean(confident.astype(jnp.float32), batch.mask)
        state = EpclState(threshold, pairs)
        return Loss(value, state, confident=share_confident, decay=source_decay)

    return Objective(loss, init)


def moving_threshold(
    threshold: jax.Array, batch: Batch, entropies: jax.Array, quantile: float, momentum: float
) -> jax.Array:
    """The confidence threshold, moved once a batch, at its first step: scalar float32."""
    own = masked_quantile(entropies, batch.mask, quantile)
    moved = jnp.where(jnp.isnan(threshold), own, momentum * threshold + (1 - momentum) * own)
    return jnp.where(batch.step == 0, moved, threshold)


class Pool(NamedTuple):
    """The candidates of a batch.

    Attributes:
        proxies: [B, d] float32 unit, one of each query.
        own: [B] float32, z_i.c_i.
        similarities: [B, M] float32, z_i with every candidate.
        counted: [B, M] bool, candidates that count at all (no padding).
        excluded: [B, M] bool, the exclusion sets.
    """

    proxies: jax.Array
    own: jax.Array
    similarities: jax.Array
    counted: jax.Array
    excluded: jax.Array


def proxies_of(similarities: jax.Array, gallery: jax.Array, p: int) -> tuple[jax.Array, jax.Array]:
    """Each query's proxy: the similarity-weighted mean of its p nearest items, normalised.

    Args:
        similarities: [B, N] float32; negative ones weigh nothing, unless the nearest is negative.
        gallery: [N, d] float32 unit.
        p: from 1.

    Returns:
        proxies [B, d] float32 unit, and the nearest items [B] int32.
    """
    near, items = jax.lax.top_k(similarities, min(p, similarities.shape[1]))
    weights = jnp.maximum(near, 0.0).at[:, 0].set(jnp.where(near[:, 0] > 0, near[:, 0], 1.0))
    means = (weights[:, :, None] * gallery[items]).sum(axis=1)
    return unit(means), items[:, 0]


def batch_candidates(batch: Batch, similarities: jax.Array, *, k: int, p: int) -> Pool:
    """Candidates are the proxies of the batch."""
    proxies, items = proxies_of(similarities, batch.gallery, p)
    with_proxies = jnp.matmul(batch.queries, proxies.T, precision=jax.lax.Precision.HIGHEST)
    excluded = exclude_candidates(plausible_sets(similarities, k), items, batch.mask)
    counted = jnp.broadcast_to(batch.mask[None, :], excluded.shape)
    return Pool(proxies, jnp.diagonal(with_proxies), with_proxies, counted, excluded)


def gallery_candidates(batch: Batch, similarities: jax.Array, *, k: int, p: int) -> Pool:
    """Candidates are all items of the gallery; the proxy stays what is committed to."""
    proxies, items = proxies_of(similarities, batch.gallery, p)
    own = (batch.queries * proxies).sum(axis=1)
    excluded = exclude_gallery(plausible_sets(similarities, k), similarities.shape[1])
    # With k = 0 the nearest item must still not be its own negative.
    excluded = excluded.at[jnp.arange(len(items)), items].set(False)
    return Pool(proxies, own, batch.similarities, jnp.ones_like(excluded), excluded)


def commit_proxy(pool: Pool, excluded: jax.Array, tau: jax.Array) -> jax.Array:
    """-log(e_own / (e_own + sum over E)): [B] float32."""
    # -log(a / (a + b)) is softplus(log b - log a): exact where b is tiny.
    return jax.nn.softplus(_log_sum(pool.similarities / tau, excluded) - pool.own / tau)


def commit_entropy(pool: Pool, excluded: jax.Array, tau: jax.Array) -> jax.Array:
    """Entropy of the softmax over a query's own proxy and E, in nats: [B] float32."""
    others = jnp.where(excluded, pool.similarities / tau, -jnp.inf)
    logits = jnp.concatenate([pool.own[:, None] / tau, others], axis=1)
    return entropy(jax.nn.log_softmax(logits, axis=1))


COMMITS = MappingProxyType({"entropy": commit_entropy, "proxy": commit_proxy})
"""What a confident query minimises: (candidates, E [B, M] bool, tau) -> [B]."""


def rule_out(pool: Pool, excluded: jax.Array, tau: jax.Array) -> jax.Array:
    """-log(sum over the plausible / sum over the plausible and E): [B] float32.

    Candidates outside the plausible sets that `excluded` leaves out count for neither side.
    """
    logits = pool.similarities / tau
    plausible = _log_sum(logits, pool.counted & ~pool.excluded)
    return jax.nn.softplus(_log_sum(logits, excluded) - plausible)


def _log_sum(logits: jax.Array, mask: jax.Array) -> jax.Array:
    """log sum exp over a mask: [B, M] -> [B]; an empty sum is about -1e9, with gradient 0."""
    return jax.nn.logsumexp(jnp.where(mask, logits, -1e9), axis=1)
