"""REST (experimental): TCR's terms with gradients that do not undo general knowledge."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from reex_jax.adaptation.masked import masked_mean
from reex_jax.adaptation.methods.tcr import nearest_items, tcr
from reex_jax.adaptation.objective import (
    Batch,
    Differentiation,
    Loss,
    LossFunction,
    Objective,
    Parameters,
    Problem,
    State,
    Step,
)
from reex_jax.arrays import cosines
from reex_jax.settings.methods import Rest


def rest(settings: Rest) -> Objective:
    """EXPERIMENTAL. What is public of REST for certain, filled in by us.

    Li et al., "Toward Robust and Harmonious Adaptation for Cross-modal Retrieval" (REST), 2025,
    arXiv 2511.14416: predictions narrowed to candidates, a loss of consistency, uniformity and gap
    terms (TCR's stand in here), and a gradient decoupling that keeps general knowledge. Ours
    takes from the gradient what points against that of the divergence from the source model's
    predictions (a projection as in Yu et al., "Gradient Surgery", NeurIPS 2020). No number of this
    method is a number of REST.
    """
    base = tcr(settings)
    return Objective(base.loss, base.init, decoupled(settings.relative_temperature))


def decoupled(relative_temperature: float) -> Differentiation:
    """Projects out what would raise the divergence from the source model's predictions."""

    def differentiate(
        loss: LossFunction, problem: Problem, parameters: Parameters, state: State
    ) -> Step:
        source = jax.lax.stop_gradient(problem.forward(problem.source).queries)

        def forgetting(batch: Batch, state: State) -> Loss:
            items, tau = nearest_items(batch), relative_temperature * batch.temperature
            before, now = (_candidates(z, items, batch, tau) for z in (source, batch.queries))
            divergence = (jnp.exp(before) * (before - now)).sum(axis=1, where=batch.mask[None, :])
            return Loss(masked_mean(divergence, batch.mask), state)

        step = problem.differentiate(loss, parameters, state)
        general = problem.differentiate(forgetting, parameters, state).gradient
        along = optax.tree.vdot(step.gradient, general)
        # At the source itself that divergence is at its minimum, and its gradient only rounding
        # noise, which differs from device to device.
        away = jnp.bool_(False)
        for now, then in zip(
            jax.tree.leaves(parameters), jax.tree.leaves(problem.source), strict=True
        ):
            away |= (now != then).any()
        against = jnp.where(away, jnp.minimum(along, 0.0), 0.0)
        part = against / (optax.tree.vdot(general, general) + 1e-12)
        gradient = jax.tree.map(lambda g, k: g - part * k, step.gradient, general)
        return step._replace(gradient=gradient)

    return differentiate


def _candidates(
    z: Float[Array, "batch dim"],
    items: Float[Array, "batch dim"],
    batch: Batch,
    temperature: Float[Array, ""],
) -> Float[Array, "batch batch"]:
    """Log-probabilities over the batch's candidates, padded ones at about -1e9."""
    logits = cosines(z, items) / temperature
    return jax.nn.log_softmax(jnp.where(batch.mask[None, :], logits, -1e9), axis=-1)
