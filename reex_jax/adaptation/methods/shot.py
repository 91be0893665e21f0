"""SHOT's objective: information maximisation and pseudo-labels."""

import jax.numpy as jnp

from reex_jax.adaptation.masked import masked_mean, masked_share
from reex_jax.adaptation.objective import Batch, Loss, Objective, State
from reex_jax.settings.methods import Shot


def shot(settings: Shot) -> Objective:
    """Sure for each query, diverse over the batch, and loyal to sure pseudo-labels.

    Liang et al., "Do We Really Need to Access the Source Data?", ICML 2020: mean entropy, minus
    the entropy of the batch's mean prediction m (as sum m log(m + 1e-5)), plus the cross-entropy
    to pseudo-labels. As in the online setting of TCR's benchmark, the pseudo-label is the nearest
    gallery item, where its probability exceeds a bound.
    """

    def loss(batch: Batch, state: State) -> Loss:
        relative, softmax = (
            settings.relative_temperature,
            batch.softmax(settings.relative_temperature),
        )
        weights = batch.mask.astype(jnp.float32) / jnp.maximum(batch.count, 1).astype(jnp.float32)
        mean = batch.mean_prediction(relative, softmax, weights)
        log_q = batch.log_probability(softmax.nearest, relative, softmax)
        sure = batch.mask & (jnp.exp(log_q) > settings.pseudo_label_above)
        value = masked_mean(softmax.entropy, batch.mask) + (mean * jnp.log(mean + 1e-5)).sum()
        value += settings.pseudo_label_weight * masked_mean(-log_q, sure)
        return Loss(value, state, confident=masked_share(sure, batch.mask))

    return Objective(loss)
