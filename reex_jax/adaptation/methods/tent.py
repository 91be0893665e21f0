"""Tent: entropy minimisation."""

from reex_jax.adaptation.masked import masked_mean
from reex_jax.adaptation.objective import Batch, Loss, Objective, State
from reex_jax.settings.methods import Tent


def tent(settings: Tent) -> Objective:
    """The mean entropy of the softmax over the gallery.

    Wang et al., "Tent: Fully Test-Time Adaptation by Entropy Minimization", ICLR 2021, section 3.
    """

    def loss(batch: Batch, state: State) -> Loss:
        entropies = batch.softmax(settings.relative_temperature).entropy
        return Loss(masked_mean(entropies, batch.mask), state)

    return Objective(loss)
