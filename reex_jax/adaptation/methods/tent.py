"""Tent: entropy minimisation."""

from reex_jax.adaptation.masked import entropy, log_softmax_at, masked_mean
from reex_jax.adaptation.objective import Batch, Loss, Objective, State
from reex_jax.adaptation.settings import check_positive


def tent(temperature: float = 0.01) -> Objective:
    """The mean entropy of the softmax over the gallery.

    Wang et al., "Tent: Fully Test-Time Adaptation by Entropy Minimization", ICLR 2021, section 3.

    Args:
        temperature: of that softmax.

    Raises:
        UserError: the temperature is not positive.
    """
    check_positive(temperature=temperature)

    def loss(batch: Batch, state: State) -> Loss:
        log_p = log_softmax_at(batch.similarities, temperature)
        return Loss(masked_mean(entropy(log_p), batch.mask), state)

    return Objective(loss)
