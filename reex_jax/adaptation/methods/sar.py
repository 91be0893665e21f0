"""SAR: sharpness-aware and reliable entropy minimisation."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from reex_jax.adaptation.masked import (
    ascending_places,
    floor_share,
    masked_mean,
    masked_share,
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
from reex_jax.settings.methods import Sar


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


def sar(settings: Sar) -> Objective:
    """Entropy of the surest queries, at the worst nearby parameters; restored when it collapses.

    Niu et al., "Towards Stable Test-Time Adaptation in Dynamic Wild World", ICLR 2023, section 4.
    As in TCR's benchmark, the surest `share` of a batch (int(share * B) queries, ties included)
    takes the place of the fixed entropy bound. The second pass keeps those of them whose entropy is
    below the first pass's bound; if none is, nothing moves.
    """

    def init(start: Start) -> SarState:
        nothing = jnp.zeros(start.batch_size, bool)
        return SarState(jnp.float32(jnp.nan), nothing, jnp.float32(jnp.inf))

    def first(batch: Batch, state: SarState) -> Loss:
        values = batch.softmax(settings.relative_temperature).entropy
        constant, size = jax.lax.stop_gradient(values), batch.mask.shape[0]
        wanted = jnp.maximum(floor_share(settings.share, batch.count, size), 1)
        surest = ascending_places(constant, batch.mask) < wanted
        threshold = jnp.where(surest, constant, -jnp.inf).max()
        selected = batch.mask & (values <= threshold)
        state = state._replace(selected=state.selected.at[:size].set(selected), threshold=threshold)
        return Loss(masked_mean(values, selected), state)

    def second(batch: Batch, state: SarState) -> Loss:
        values = batch.softmax(settings.relative_temperature).entropy
        kept = state.selected[: batch.mask.shape[0]] & (values < state.threshold)
        value = masked_mean(values, kept)
        moved = settings.momentum * state.average + (1 - settings.momentum) * value
        average = jnp.where(jnp.isnan(state.average), value, moved)
        return Loss(
            value,
            state._replace(average=jax.lax.stop_gradient(average)),
            confident=masked_share(kept, batch.mask),
            moves=kept.any(),
            restore=average < settings.restore_below,
        )

    return Objective(first, init, sharpness_aware(second, settings.rho))


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
