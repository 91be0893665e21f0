"""The unadapted model, to which every method is compared."""

import jax.numpy as jnp

from reex_jax.adaptation.objective import Batch, Loss, Objective, State
from reex_jax.settings.methods import Unadapted


def none(settings: Unadapted) -> Objective:
    """Never updates anything."""
    del settings

    def loss(batch: Batch, state: State) -> Loss:
        del batch
        return Loss(jnp.float32(0), state)

    return Objective(loss, learns=False)
