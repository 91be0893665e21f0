"""READ: confidence-aware self-adaptation with balanced predictions."""

import jax
import jax.numpy as jnp

from reex_jax.adaptation.masked import masked_mean
from reex_jax.adaptation.objective import Batch, Loss, Objective, State
from reex_jax.arrays import entropy
from reex_jax.settings.methods import Read


def read(settings: Read) -> Objective:
    """Raises confident predictions and spreads them over the gallery.

    Yang et al., "Test-time Adaptation against Multi-modal Reliability Bias", ICLR 2024: with q the
    largest probability, the mean of q (1 - log q + log gamma) with gamma = 1 / e (their equation of
    the confidence-aware loss), minus the entropy of the softmax of the batch's summed
    probabilities (their balance term).
    """

    def loss(batch: Batch, state: State) -> Loss:
        log_p = batch.log_probabilities(settings.relative_temperature)
        log_q = log_p.max(axis=-1)
        # 1 - log q + log(1 / e) is - log q.
        confidence = masked_mean(-jnp.exp(log_q) * log_q, batch.mask)
        totals = jnp.where(batch.mask[:, None], jnp.exp(log_p), 0.0).sum(axis=0)
        return Loss(confidence - entropy(jax.nn.log_softmax(totals)), state)

    return Objective(loss)
