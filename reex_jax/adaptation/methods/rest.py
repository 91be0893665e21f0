"""REST (experimental): TCR's terms with gradients that do not undo general knowledge."""

import jax
import jax.numpy as jnp
import optax

from reex_jax.adaptation.masked import log_softmax_at, masked_mean
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


def rest(
    temperature: float = 0.02,
    share: float = 0.3,
    batches: int = 10,
    uniformity_weight: float = 1.0,
    gap_weight: float = 1.0,
) -> Objective:
    """EXPERIMENTAL. What is public of REST for certain, filled in by us.

    Li et al., "Toward Robust and Harmonious Adaptation for Cross-modal Retrieval" (REST), 2025,
    arXiv 2511.14416: predictions refined to candidates, a loss of consistency, uniformity and gap
    terms (TCR's stand in here), and a gradient decoupling that keeps general knowledge. Ours
    takes from the gradient what points against that of the divergence from the source model's
    predictions (a projection as in Yu et al., "Gradient Surgery", NeurIPS 2020). No number of this
    method is a number of REST.

    Args:
        temperature, share, batches, uniformity_weight, gap_weight: as for `tcr`.

    Raises:
        UserError: a value out of range.
    """
    base = tcr(temperature, share, batches, uniformity_weight, gap_weight)
    return Objective(base.loss, base.init, decoupled(temperature))


def decoupled(temperature: float) -> Differentiation:
    """Projects out what would raise the divergence from the source model's predictions."""

    def differentiate(
        loss: LossFunction, problem: Problem, parameters: Parameters, state: State
    ) -> Step:
        source = jax.lax.stop_gradient(problem.forward(problem.source).queries)

        def forgetting(batch: Batch, state: State) -> Loss:
            items = nearest_items(batch)
            before, now = (
                _candidates(z, items, batch, temperature) for z in (source, batch.queries)
            )
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
        share = against / (optax.tree.vdot(general, general) + 1e-12)
        gradient = jax.tree.map(lambda g, k: g - share * k, step.gradient, general)
        return step._replace(gradient=gradient)

    return differentiate


def _candidates(z: jax.Array, items: jax.Array, batch: Batch, temperature: float) -> jax.Array:
    """Log-probabilities over the batch's candidates: [B, B], padded ones at about -1e9."""
    logits = jnp.matmul(z, items.T, precision=jax.lax.Precision.HIGHEST) / temperature
    return log_softmax_at(jnp.where(batch.mask[None, :], logits, -1e9), 1.0)
