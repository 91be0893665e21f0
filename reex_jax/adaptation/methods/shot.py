"""SHOT's objective: information maximisation and pseudo-labels."""

import jax.numpy as jnp

from reex_jax.adaptation.masked import entropy, log_softmax_at, masked_mean
from reex_jax.adaptation.objective import Batch, Loss, Objective, State
from reex_jax.adaptation.settings import check_positive, check_share, check_weights


def shot(
    temperature: float = 0.01, pseudo_label_weight: float = 0.1, pseudo_label_above: float = 0.9
) -> Objective:
    """Sure for each query, diverse over the batch, and loyal to sure pseudo-labels.

    Liang et al., "Do We Really Need to Access the Source Data?", ICML 2020: mean entropy, minus
    the entropy of the batch's mean prediction m (as sum m log(m + 1e-5)), plus the cross-entropy
    to pseudo-labels. As in the online setting of TCR's benchmark, the pseudo-label is the nearest
    gallery item, where its probability exceeds a bound.

    Args:
        temperature: of the softmax over the gallery.
        pseudo_label_weight: of the cross-entropy.
        pseudo_label_above: probability from which a pseudo-label counts.

    Raises:
        UserError: a value out of range.
    """
    check_positive(temperature=temperature)
    check_share(pseudo_label_above=pseudo_label_above)
    check_weights(pseudo_label_weight=pseudo_label_weight)

    def loss(batch: Batch, state: State) -> Loss:
        log_p = log_softmax_at(batch.similarities, temperature)
        mean = masked_mean(jnp.exp(log_p), batch.mask)
        log_q = log_p.max(axis=-1)
        sure = batch.mask & (jnp.exp(log_q) > pseudo_label_above)
        value = masked_mean(entropy(log_p), batch.mask) + (mean * jnp.log(mean + 1e-5)).sum()
        value += pseudo_label_weight * masked_mean(-log_q, sure)
        return Loss(value, state, confident=masked_mean(sure.astype(jnp.float32), batch.mask))

    return Objective(loss)
