"""DeYO: entropies of queries that lose their answer when their parts are shuffled."""

from dataclasses import replace

import jax
import jax.numpy as jnp

from reex_jax.adaptation.masked import masked_mean, masked_share
from reex_jax.adaptation.objective import Batch, Loss, Objective, State
from reex_jax.settings.methods import Deyo


def deyo(settings: Deyo) -> Objective:
    """Trusts a query whose answer depends on its shape, not on its patches or words alone.

    Lee et al., "Entropy is not Enough for Test-Time Adaptation", ICLR 2024. With H the entropy, y
    the nearest item, and D = p(y) - p'(y) its drop in probability when the query's parts are in
    random order (PLPD): the entropies with H < entropy_share * log N and D > drop_above, weighted
    exp(weight_share * log N - H) + exp(D). Parts are a 4 x 4 grid of an image (theirs) or the
    tokens of a text (ours).
    """

    def loss(batch: Batch, state: State) -> Loss:
        relative, log_size = settings.relative_temperature, batch.log_items
        shuffled, softmax = replace(batch, queries=batch.shuffled()), batch.softmax(relative)
        before = batch.log_probability(softmax.nearest, relative, softmax)
        after = shuffled.log_probability(softmax.nearest, relative, shuffled.softmax(relative))
        drop, entropies = jax.lax.stop_gradient(jnp.exp(before) - jnp.exp(after)), softmax.entropy
        sure = entropies < settings.entropy_share * log_size
        chosen = batch.mask & sure & (drop > settings.drop_above)
        constant = jax.lax.stop_gradient(entropies)
        weights = jnp.exp(settings.weight_share * log_size - constant) + jnp.exp(drop)
        return Loss(
            masked_mean(entropies * weights, chosen),
            state,
            confident=masked_share(chosen, batch.mask),
            moves=chosen.any(),
        )

    return Objective(loss)
