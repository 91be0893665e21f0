"""READ: confidence-aware self-adaptation with balanced predictions."""

import jax
import jax.numpy as jnp

from reex_jax.adaptation.masked import entropy, log_softmax_at, masked_mean
from reex_jax.adaptation.objective import Batch, Loss, Objective, State
from reex_jax.adaptation.settings import check_positive


def read(temperature: float = 0.01) -> Objective:
    """Raises confident predictions and spreads them over the gallery.

    Yang et al., "Test-time Adaptation against Multi-modal Reliability Bias", ICLR 2024: with q the
    largest probability, the mean of q (1 - log q + log gamma) with gamma = 1 / e (their equation of
    the confidence-aware loss), minus the entropy of the softmax of the batch's summed
    probabilities (their balance term).

    Args:
        temperature: of the softmax over the gallery.

    Raises:
        UserError: the temperature is not positive.
    """
    check_positive(temperature=temperature)

    def loss(batch: Batch, state: State) -> Loss:
        log_p = log_softmax_at(batch.similarities, temperature)
        log_q = log_p.max(axis=-1)
        # 1 - log q + log(1 / e) is - log q.
        confidence = masked_mean(-jnp.exp(log_q) * log_q, batch.mask)
        totals = jnp.where(batch.mask[:, None], jnp.exp(log_p), 0.0).sum(axis=0)
        return Loss(confidence - entropy(jax.nn.log_softmax(totals)), state)

    return Objective(loss)
