"""EATA: reliable, non-redundant entropies, anchored to the source parameters."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from reex_jax.adaptation.masked import entropy, log_softmax_at, masked_mean
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
from reex_jax.adaptation.settings import check_positive, check_share, check_weights


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


def eata(
    temperature: float = 0.01,
    entropy_share: float = 0.4,
    redundancy: float = 0.05,
    momentum: float = 0.9,
    fisher_weight: float = 2000.0,
) -> Objective:
    """Entropies of reliable queries that tell something new, with little forgetting.

    Niu et al., "Efficient Test-Time Model Adaptation without Forgetting", ICML 2022: entropies H
    below E = entropy_share * log N (their equation 3), weighted exp(E - H), of queries whose
    prediction has a cosine below `redundancy` with the average of earlier ones (their equation 4),
    plus fisher_weight * sum F (parameter - source)^2 (their equation 8). The authors measure F on
    samples like the source's; there are none here, so the stream's first batch serves.

    Args:
        temperature: of the softmax over the gallery.
        entropy_share: E in units of log N.
        redundancy: largest cosine with the average prediction.
        momentum: of that average.
        fisher_weight: of the anchor; 0 gives ETA.

    Raises:
        UserError: a value out of range.
    """
    check_positive(temperature=temperature)
    check_share(entropy_share=entropy_share, redundancy=redundancy, momentum=momentum)
    check_weights(fisher_weight=fisher_weight)

    def init(start: Start) -> EataState:
        zeros = jax.tree.map(jnp.zeros_like, start.parameters)
        return EataState(jnp.zeros(start.gallery.shape[0]), zeros, jnp.bool_(False))

    def loss(batch: Batch, state: EataState) -> Loss:
        log_p = log_softmax_at(batch.similarities, temperature)
        entropies, p = entropy(log_p), jax.lax.stop_gradient(jnp.exp(log_p))
        bound = entropy_share * math.log(max(p.shape[1], 2))
        lengths = jnp.linalg.norm(p, axis=1) * jnp.linalg.norm(state.average)
        cosines = (p * state.average[None, :]).sum(axis=1) / jnp.maximum(lengths, 1e-8)
        fresh = (jnp.abs(cosines) < redundancy) | ~state.average.any()
        chosen = batch.mask & (entropies < bound) & fresh
        weights = jnp.exp(bound - jax.lax.stop_gradient(entropies))
        new = masked_mean(p, chosen)
        blend = jnp.where(state.average.any(), momentum, 0.0)
        average = jnp.where(chosen.any(), blend * state.average + (1 - blend) * new, state.average)
        return Loss(
            masked_mean(entropies * weights, chosen),
            state._replace(average=average),
            confident=masked_mean(chosen.astype(jnp.float32), batch.mask),
            moves=chosen.any(),
        )

    def pseudo_label_loss(batch: Batch, state: EataState) -> Loss:
        log_p = log_softmax_at(batch.similarities, temperature)
        return Loss(masked_mean(-log_p.max(axis=-1), batch.mask), state)

    return Objective(loss, init, anchored(pseudo_label_loss, fisher_weight))


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
