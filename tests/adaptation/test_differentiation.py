"""Gradients that are more than the loss's: EATA's anchor, SAR's climb, REST's projection."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.adaptation.methods.eata import eata
from reex_jax.adaptation.methods.rest import decoupled, rest
from reex_jax.adaptation.methods.sar import sar, sharpness_aware
from reex_jax.adaptation.objective import Batch, Loss, Objective, Problem, Start
from reex_jax.arrays import unit
from reex_jax.settings.methods import Eata, Rest, Sar

ROWS, REAL, SIZE, WIDTH = 6, 5, 9, 4
OWN = 0.05  # the temperature of the model that `make_batch` stands for


@pytest.fixture
def problem(unit_rows, make_batch):
    """Queries are unit(x * parameters); the source's parameters are ones."""
    batch = make_batch(unit_rows(1, ROWS, WIDTH), unit_rows(0, SIZE, WIDTH), real=REAL)

    def forward(parameters) -> Batch:
        return replace(batch, queries=unit(batch.queries * parameters[None]))

    return Problem(forward, lambda gradient: gradient, jnp.ones(WIDTH))


def start(problem):
    return Start(ROWS, problem.forward(problem.source).gallery, problem.source)


def log_probabilities(problem, parameters, temperature):
    """log softmax over the gallery of the real queries, float64."""
    batch = problem.forward(jnp.asarray(parameters, jnp.float32))
    z, gallery = (np.asarray(x, np.float64) for x in (batch.queries[:REAL], batch.gallery))
    logits = z @ gallery.T / temperature
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_eata_anchors_by_the_first_batch_s_fisher_information(problem):
    settings = {"relative_temperature": 0.2 / OWN, "entropy_share": 1.0, "redundancy": 1.0}
    objective = eata(Eata(**settings, fisher_weight=30.0))
    free = eata(Eata(**settings, fisher_weight=0.0))
    away = jnp.array([1.1, 0.9, 1.2, 1.0])
    state = objective.init(start(problem))

    def pseudo_label_loss(parameters):
        batch = problem.forward(parameters)
        log_p = jax.nn.log_softmax(batch.similarities[:REAL] / 0.2, axis=1)
        return -log_p.max(axis=1).mean()

    step = objective.differentiate(objective.loss, problem, away, state)
    plain = free.differentiate(free.loss, problem, away, state)
    fisher = np.asarray(jax.grad(pseudo_label_loss)(away), np.float64) ** 2
    assert fisher.min() > 0 and step.loss.state.measured
    np.testing.assert_allclose(step.loss.state.importance, fisher, rtol=1e-4)
    pull = 2 * 30.0 * fisher * (np.asarray(away, np.float64) - 1)
    np.testing.assert_allclose(step.gradient - plain.gradient, pull, rtol=1e-3, atol=1e-5)
    # Measured once: later steps keep it, elsewhere too.
    again = objective.differentiate(objective.loss, problem, problem.source, step.loss.state)
    np.testing.assert_array_equal(again.loss.state.importance, step.loss.state.importance)


def test_sharpness_aware_descends_by_the_gradient_at_the_top_of_the_climb(problem):
    """First loss a.p, second |p|^2 / 2: climbs rho a / |a|, so the gradient is p + rho a / |a|."""
    a = jnp.array([3.0, 0.0, 4.0, 0.0])
    holder = {}

    def forward(parameters):
        holder["p"] = parameters
        return problem.forward(parameters)

    def first(batch, state):
        return Loss((holder["p"] * a).sum(), state + 1)

    def second(batch, state):
        return Loss((holder["p"] ** 2).sum() / 2, state + 10)

    own = replace(problem, forward=forward)
    p = jnp.array([1.0, 2.0, 3.0, 4.0])
    step = sharpness_aware(second, rho=0.5)(first, own, p, jnp.int32(0))
    np.testing.assert_allclose(step.gradient, [1.3, 2.0, 3.4, 4.0], rtol=1e-6)
    assert step.loss.state == 11
    np.testing.assert_allclose(step.queries, problem.forward(p).queries)
    flat = sharpness_aware(second, rho=0.5)(
        lambda batch, state: Loss(jnp.sum(holder["p"]) * 0, state), own, p, jnp.int32(0)
    )
    np.testing.assert_allclose(flat.gradient, p)


def test_sar_takes_the_surest_twice_and_remembers(problem):
    objective = sar(
        Sar(relative_temperature=0.3 / OWN, share=0.6, rho=0.1, momentum=0.5, restore_below=10.0)
    )
    parameters, state = problem.source, objective.init(start(problem))
    step = objective.differentiate(objective.loss, problem, parameters, state)

    def entropies(parameters):
        log_p = log_probabilities(problem, parameters, 0.3)
        return -(np.exp(log_p) * log_p).sum(axis=1)

    before = entropies(parameters)
    threshold = np.sort(before)[2]  # int(0.6 * 5) = 3 queries

    def first_loss(parameters):
        batch = problem.forward(parameters)
        log_p = jax.nn.log_softmax(batch.similarities[:REAL] / 0.3, axis=1)
        h = -(jnp.exp(log_p) * log_p).sum(axis=1)
        return h[np.flatnonzero(before <= threshold)].mean()

    slope = np.asarray(jax.grad(first_loss)(parameters), np.float64)
    above = np.asarray(parameters) + 0.1 * slope / np.linalg.norm(slope)
    kept = (before <= threshold) & (entropies(above) < threshold)
    assert 0 < kept.sum() <= 3
    np.testing.assert_allclose(step.loss.value, entropies(above)[kept].mean(), rtol=1e-4)
    np.testing.assert_allclose(step.loss.confident, kept.mean(), rtol=1e-6)
    np.testing.assert_allclose(step.loss.state.average, step.loss.value)
    np.testing.assert_allclose(step.loss.state.threshold, threshold, rtol=1e-5)
    assert not step.loss.state.selected[REAL:].any()
    assert step.loss.restore and step.loss.moves
    later = objective.differentiate(objective.loss, problem, parameters, step.loss.state)
    np.testing.assert_allclose(later.loss.state.average, step.loss.value, rtol=1e-5)


def naive_divergence(problem, parameters, temperature):
    """Mean KL(source || now) over the batch's candidates, as a function to differentiate."""
    source = problem.forward(problem.source).queries[:REAL]
    items = problem.forward(parameters).similarities[:REAL].argmax(axis=1)

    def divergence(moving):
        batch = problem.forward(moving)
        c = batch.gallery[items]
        before = jax.nn.log_softmax(source @ c.T / temperature, axis=1)
        now = jax.nn.log_softmax(batch.queries[:REAL] @ c.T / temperature, axis=1)
        return (jnp.exp(before) * (before - now)).sum(axis=1).mean()

    return divergence


@pytest.mark.parametrize("sign", [1, -1])
def test_rest_takes_out_what_would_forget_and_only_that(problem, sign):
    away = jnp.array([1.3, 0.8, 1.1, 0.9])
    general = np.asarray(jax.grad(naive_divergence(problem, away, 0.2))(away), np.float64)

    def loss(batch, state):
        return Loss(sign * (batch.queries[:REAL] * batch.gallery[0][None]).sum(), state)

    plain = np.asarray(Objective(loss).differentiate(loss, problem, away, ()).gradient, np.float64)
    step = decoupled(0.2 / OWN)(loss, problem, away, ())
    along = plain @ general
    wanted = plain if along >= 0 else plain - along / (general @ general) * general
    np.testing.assert_allclose(step.gradient, wanted, rtol=1e-3, atol=1e-5)
    assert np.asarray(step.gradient, np.float64) @ general > -1e-5
    assert step.loss.value == loss(problem.forward(away), ()).value


def test_rest_follows_tcr_while_it_is_at_the_source(problem):
    """There is nothing to forget there, and the divergence's gradient is rounding noise."""
    objective = rest(Rest(relative_temperature=0.2 / OWN))
    state = objective.init(start(problem))
    step = objective.differentiate(objective.loss, problem, problem.source, state)
    plain = Objective(objective.loss).differentiate(objective.loss, problem, problem.source, state)
    np.testing.assert_array_equal(step.gradient, plain.gradient)
