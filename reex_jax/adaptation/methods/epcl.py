"""EPCL: exclusion-guided proxy contrastive learning, the adaptation of ReEx.

The formulas are our reading of the paper's abstract; see docs/method.md.
"""

from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from reex_jax.adaptation.candidates import Memory, moved, no_candidates, remember
from reex_jax.adaptation.masked import masked_mean, masked_quantile, masked_share
from reex_jax.adaptation.objective import Batch, Loss, Objective, Start
from reex_jax.adaptation.rivals import RIVALS, Rivals, nearest_items
from reex_jax.adaptation.source_pairs import (
    SourcePairs,
    gap_loss,
    no_pairs,
    remember_pairs,
    uniformity_loss,
)
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
        hubs = batch.correction() if settings.calibrated else jnp.zeros(batch.part.places)
        near = nearest_items(batch, hubs, settings)
        entropies = near.entropies
        confident = confident_queries(batch, before, entropies, settings.quantile)
        rivals = RIVALS[settings.pool](batch, before, near, hubs, settings)
        pairs = remember_pairs(
            state.pairs,
            batch,
            near.proxies,
            entropies,
            share=settings.share,
            batches=settings.batches,
        )
        value = masked_mean(exclusion_loss(rivals, confident, settings), batch.mask)
        spread = jnp.where(batch.count >= UNIFORMITY_FROM, uniformity_loss(batch), 0.0)
        value += settings.uniformity_weight * spread
        value += settings.gap_weight * gap_loss(batch, near.proxies, pairs)
        number = batch.counted.sum(dtype=jnp.float32)
        rate = jnp.minimum(number / settings.full_batch, 1.0)
        return Loss(
            value,
            EpclState(before, remember(before, near.items, entropies, batch.counted), pairs),
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


def exclusion_loss(
    rivals: Rivals, confident: Bool[Array, " batch"], settings: Reex
) -> Float[Array, " batch"]:
    """L_i of every query; 0 for those that `split` keeps from learning."""
    weights = {"confident": 1.0, "ambiguous": settings.ambiguous_weight}
    learn = {part: w * (settings.split in ("both", part)) for part, w in weights.items()}
    committed = learn["confident"] * COMMIT_LOSSES[settings.commit](rivals)
    return jnp.where(confident, committed, learn["ambiguous"] * rule_out(rivals))


def commit_proxy(rivals: Rivals) -> Float[Array, " batch"]:
    """-log(e_own / (e_own + sum over E))."""
    # -log(a / (a + b)) is softplus(log b - log a): exact where b is tiny.
    return jax.nn.softplus(rivals.excluded - rivals.own)


def commit_entropy(rivals: Rivals) -> Float[Array, " batch"]:
    """Entropy of the softmax over a query's own proxy and E, in nats."""
    whole = jnp.logaddexp(rivals.own, rivals.excluded)
    own, others = whole - rivals.own, whole - rivals.excluded  # -log of their shares
    return jnp.exp(-own) * own + jnp.exp(-others) * (others + rivals.entropy)


COMMIT_LOSSES = MappingProxyType({"entropy": commit_entropy, "proxy": commit_proxy})
"""`settings.methods.COMMITS` -> what a confident query minimises."""


def rule_out(rivals: Rivals) -> Float[Array, " batch"]:
    """-log(sum over the plausible / sum over the plausible and E).

    Candidates outside the plausible sets that E leaves out count for neither side.
    """
    return jax.nn.softplus(rivals.excluded - rivals.plausible)
