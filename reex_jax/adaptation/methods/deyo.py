"""DeYO: entropies of queries that lose their answer when their parts are shuffled."""

import math

import jax
import jax.numpy as jnp

from reex_jax.adaptation.masked import entropy, log_softmax_at, masked_mean
from reex_jax.adaptation.objective import Batch, Loss, Objective, State
from reex_jax.adaptation.settings import check_positive, check_share


def deyo(
    temperature: float = 0.01,
    entropy_share: float = 0.5,
    weight_share: float = 0.4,
    drop_above: float = 0.2,
) -> Objective:
    """Trusts a query whose answer depends on its shape, not on its patches or words alone.

    Lee et al., "Entropy is not Enough for Test-Time Adaptation", ICLR 2024. With H the entropy, y
    the nearest item, and D = p(y) - p'(y) its drop in probability when the query's parts are in
    random order (PLPD): the entropies with H < entropy_share * log N and D > drop_above, weighted
    exp(weight_share * log N - H) + exp(D). Parts are a 4 x 4 grid of an image (theirs) or the
    tokens of a text (ours).

    Args:
        temperature: of the softmax over the gallery.
        entropy_share: largest entropy, in units of log N.
        weight_share: entropy of weight 1, in units of log N.
        drop_above: smallest D.

    Raises:
        UserError: a value out of range.
    """
    check_positive(temperature=temperature)
    check_share(entropy_share=entropy_share, weight_share=weight_share, drop_above=drop_above)

    def loss(batch: Batch, state: State) -> Loss:
        log_p = log_softmax_at(batch.similarities, temperature)
        similar = jnp.matmul(batch.shuffled(), batch.gallery.T, precision=jax.lax.Precision.HIGHEST)
        shuffled_p = jnp.exp(log_softmax_at(similar, temperature))
        nearest = jnp.argmax(log_p, axis=1)[:, None]
        p = jax.lax.stop_gradient(jnp.exp(log_p))
        drop = (jnp.take_along_axis(p - shuffled_p, nearest, axis=1))[:, 0]
        entropies, log_size = entropy(log_p), math.log(max(p.shape[1], 2))
        chosen = batch.mask & (entropies < entropy_share * log_size) & (drop > drop_above)
        constant = jax.lax.stop_gradient(entropies)
        weights = jnp.exp(weight_share * log_size - constant) + jnp.exp(drop)
        return Loss(
            masked_mean(entropies * weights, chosen),
            state,
            confident=masked_mean(chosen.astype(jnp.float32), batch.mask),
            moves=chosen.any(),
        )

    return Objective(loss)
