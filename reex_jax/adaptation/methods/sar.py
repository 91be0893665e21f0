"""SAR: sharpness-aware and reliable entropy minimisation."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from reex_jax.adaptation.masked import (
    ascending_places,
    entropy,
    floor_share,
    log_softmax_at,
    masked_mean,
)
from reex_jax.adaptation.objective import (
    Batch,
    Differentiation,
    Loss,
    LossFunction,
    Objective,
    Parameters,
    Problem,
    Start,
    State,
    Step,
)
from reex_jax.adaptation.settings import check_positive, check_share, check_weights


class SarState(NamedTuple):
    """Memory of SAR.

    Attributes:
        average: moving average of the second loss, NaN before the first.
        selected: [B] bool, the queries of the first pass; meaningless between steps.
        threshold: the largest entropy among them.
    """

    average: jax.Array
    selected: jax.Array
    threshold: jax.Array


def sar(
    temperature: float = 0.01,
    share: float = 0.4,
    rho: float = 0.05,
    momentum: float = 0.9,
    restore_below: float = 0.2,
) -> Objective:
    """Entropy of the surest queries, at the worst nearby parameters; restored when it collapses.

    Niu et al., "Towards Stable Test-Time Adaptation in Dynamic Wild World", ICLR 2023, section 4.
    As in TCR's benchmark, the surest `share` of a batch takes the place of the fixed entropy bound.
    The second pass keeps those of them whose entropy is below the first pass's bound; if none is,
    nothing moves.

    Args:
        temperature: of the softmax over the gallery.
        share: of the batch that the first pass takes; int(share * B) queries, ties included.
        rho: length of the climb.
        momentum: of the moving average of the second loss.
        restore_below: an average below this puts parameters and optimiser back.

    Raises:
        UserError: a value out of range.
    """
    check_positive(temperature=temperature, rho=rho)
    check_share(share=share, momentum=momentum)
    check_weights(restore_below=restore_below)

    def init(start: Start) -> SarState:
        nothing = jnp.zeros(start.batch_size, bool)
        return SarState(jnp.float32(jnp.nan), nothing, jnp.float32(jnp.inf))

    def entropies(batch: Batch) -> jax.Array:
        return entropy(log_softmax_at(batch.similarities, temperature))

    def first(batch: Batch, state: SarState) -> Loss:
        values = entropies(batch)
        size = batch.mask.shape[0]
        wanted = jnp.maximum(floor_share(share, batch.count, size), 1)
        chosen = ascending_places(jax.lax.stop_gradient(values), batch.mask) < wanted
        threshold = jnp.where(chosen, jax.lax.stop_gradient(values), -jnp.inf).max()
        selected = batch.mask & (values <= threshold)
        state = state._replace(selected=state.selected.at[:size].set(selected), threshold=threshold)
        return Loss(masked_mean(values, selected), state)

    def second(batch: Batch, state: SarState) -> Loss:
        values = entropies(batch)
        kept = state.selected[: batch.mask.shape[0]] & (values < state.threshold)
        value = masked_mean(values, kept)
        average = jnp.where(
            jnp.isnan(state.average), value, momentum * state.average + (1 - momentum) * value
        )
        return Loss(
            value,
            state._replace(average=jax.lax.stop_gradient(average)),
            confident=masked_mean(kept.astype(jnp.float32), batch.mask),
            moves=kept.any(),
            restore=average < restore_below,
        )

    return Objective(first, init, sharpness_aware(second, rho))


def sharpness_aware(second: LossFunction, rho: float) -> Differentiation:
    """Climbs `rho` along the gradient, and descends by that of `second` up there.

    Foret et al., "Sharpness-Aware Minimization", ICLR 2021, equation 2 (p = 2).
    """

    def differentiate(
        loss: LossFunction, problem: Problem, parameters: Parameters, state: State
    ) -> Step:
        climb = problem.differentiate(loss, parameters, state)
        scale = rho / (optax.tree.norm(climb.gradient) + 1e-12)
        above = jax.tree.map(lambda p, g: p + scale * g, parameters, climb.gradient)
        descent = problem.differentiate(second, above, climb.loss.state)
        return descent._replace(queries=climb.queries)

    return differentiate
