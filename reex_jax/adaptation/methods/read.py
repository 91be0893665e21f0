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
        relative, softmax = (
            settings.relative_temperature,
            batch.softmax(settings.relative_temperature),
        )
        log_q = batch.log_probability(softmax.nearest, relative, softmax)
        # 1 - log q + log(1 / e) is - log q.
        confidence = masked_mean(-jnp.exp(log_q) * log_q, batch.mask)
        weights = batch.mask.astype(jnp.float32)
        totals = batch.mean_prediction(relative, softmax, weights)
        totals = jnp.where(batch.part.used(), totals, -jnp.inf)
        return Loss(confidence - entropy(jax.nn.log_softmax(totals)), state)

    return Objective(loss)
