"""EATA: reliable, non-redundant entropies, anchored to the source parameters."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from reex_jax.adaptation.masked import masked_mean, masked_share
from reex_jax.adaptation.objective import (
    Batch,
    Differentiation,
    Loss,
    LossFunction,
    Objective,
    Parameters,
    Problem,
    Start,
    Step,
)
from reex_jax.retrieval.softmax import prediction_products
from reex_jax.settings.methods import Eata


class EataState(NamedTuple):
    """Memory of EATA.

    Attributes:
        average: [N] float32, moving average of the trusted predictions; zeros before the first.
        importance: like the parameters, their diagonal Fisher information.
        measured: scalar bool, whether `importance` is known.
    """

    average: jax.Array
    importance: Parameters
    measured: jax.Array


def eata(settings: Eata) -> Objective:
    """Entropies of reliable queries that tell something new, with little forgetting.

    Niu et al., "Efficient Test-Time Model Adaptation without Forgetting", ICML 2022: entropies H
    below E = entropy_share * log N (their equation 3), weighted exp(E - H), of queries whose
    prediction has a cosine below `redundancy` with the average of earlier ones (their equation 4),
    plus fisher_weight * sum F (parameter - source)^2 (their equation 8; 0 gives ETA). The authors
    measure F on samples like the source's; there are none here, so the stream's first batch serves.
    """

    def init(start: Start) -> EataState:
        zeros = jax.tree.map(jnp.zeros_like, start.parameters)
        return EataState(jnp.zeros(start.gallery.shape[0]), zeros, jnp.bool_(False))

    def loss(batch: Batch, state: EataState) -> Loss:
        relative = settings.relative_temperature
        softmax = batch.softmax(relative)
        entropies, bound = softmax.entropy, settings.entropy_share * batch.log_items
        queries, log_sum = jax.lax.stop_gradient((batch.queries, softmax.log_sum))
        with_average, with_itself = prediction_products(
            queries, batch.part, batch.at(relative), log_sum, state.average
        )
        lengths = jnp.sqrt(with_itself) * jnp.linalg.norm(state.average)
        likeness = with_average / jnp.maximum(lengths, 1e-8)
        fresh = (jnp.abs(likeness) < settings.redundancy) | ~state.average.any()
        chosen = batch.mask & (entropies < bound) & fresh
        weights = jnp.exp(bound - jax.lax.stop_gradient(entropies))
        shares = chosen.astype(jnp.float32) / jnp.maximum(chosen.sum(dtype=jnp.float32), 1.0)
        new = jax.lax.stop_gradient(batch.mean_prediction(relative, softmax, shares))
        blend = jnp.where(state.average.any(), settings.momentum, 0.0)
        average = jnp.where(chosen.any(), blend * state.average + (1 - blend) * new, state.average)
        return Loss(
            masked_mean(entropies * weights, chosen),
            state._replace(average=average),
            confident=masked_share(chosen, batch.mask),
            moves=chosen.any(),
        )

    def pseudo_label_loss(batch: Batch, state: EataState) -> Loss:
        relative, softmax = (
            settings.relative_temperature,
            batch.softmax(settings.relative_temperature),
        )
        log_q = batch.log_probability(softmax.nearest, relative, softmax)
        return Loss(masked_mean(-log_q, batch.mask), state)

    def regrown(state: EataState, origin: np.ndarray) -> EataState:
        known = state.average[jnp.maximum(origin, 0)]
        return state._replace(average=jnp.where(origin >= 0, known, 0.0))

    differentiate = anchored(pseudo_label_loss, settings.fisher_weight)
    return Objective(loss, init, differentiate, regrown=regrown)


def anchored(pseudo_label_loss: LossFunction, weight: float) -> Differentiation:
    """Adds the gradient of weight * sum F (parameter - source)^2.

    F is the squared gradient of `pseudo_label_loss` at the stream's first step.
    """

    def differentiate(
        loss: LossFunction, problem: Problem, parameters: Parameters, state: EataState
    ) -> Step:
        def measure(_: Parameters) -> Parameters:
            gradient = problem.differentiate(pseudo_label_loss, parameters, state).gradient
            return jax.tree.map(jnp.square, gradient)

        importance = jax.lax.cond(state.measured, lambda known: known, measure, state.importance)
        state = state._replace(importance=importance, measured=jnp.bool_(True))
        step = problem.differentiate(loss, parameters, state)
        gradient = jax.tree.map(
            lambda g, f, p, s: g + 2 * weight * f * (p - s),
            step.gradient,
            importance,
            parameters,
            problem.source,
        )
        return step._replace(gradient=gradient)

    return differentiate
