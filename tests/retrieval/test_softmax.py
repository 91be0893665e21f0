"""Softmax over a gallery in chunks and parts against all of it at once, in float64 and by JAX."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.retrieval.part import Part
from reex_jax.retrieval.softmax import mean_prediction, prediction_products, softmax_over

SIZE, WIDTH, T = 29, 6, jnp.float32(0.03)


def unit(seed, n):
    drawn = np.random.default_rng(seed).normal(size=(n, WIDTH))
    return jnp.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), jnp.float32)


QUERIES, GALLERY = unit(1, 5), unit(0, SIZE)
TAKEN = 0.2 * unit(2, SIZE)[:, 0]
WITHOUT = jnp.asarray(np.random.default_rng(3).integers(0, SIZE, (5, 4)), jnp.int32)
WEIGHTS = jnp.asarray([0.5, 0.0, 2.0, 1.0, 0.1], jnp.float32)


def naive(queries, correction=None, without=None):
    """Log-probabilities over all items, and the normalisers."""
    logits = (queries @ GALLERY.T - (0.0 if correction is None else correction)[None]) / T
    if without is not None:
        logits = logits.at[jnp.arange(len(queries))[:, None], without].set(-jnp.inf)
    return logits, jax.nn.logsumexp(logits, axis=1)


def wanted(queries, correction, without):
    logits, log_sum = naive(queries, correction, without)
    p = jax.nn.softmax(logits, axis=1)
    some = jnp.where(p > 0, p, 1.0)
    return log_sum, -(p * jnp.log(some)).sum(axis=1)


CASES = [(None, None), (TAKEN, None), (TAKEN, WITHOUT)]


@pytest.mark.parametrize("chunk", [4, 29, 100])
@pytest.mark.parametrize("correction, without", CASES)
def test_sums_entropies_and_gradients(correction, without, chunk):
    taken = jnp.zeros(SIZE) if correction is None else correction

    def chunked(queries):
        return softmax_over(queries, GALLERY, T, correction, chunk, without)

    found = chunked(QUERIES)
    for a, b in zip(found[:2], wanted(QUERIES, taken, without), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    logits, _ = naive(QUERIES, taken, without)
    np.testing.assert_array_equal(found.nearest, logits.argmax(axis=1))
    for at in (0, 1):
        slope = jax.grad(lambda z, at=at: (chunked(z)[at] * WEIGHTS).sum())(QUERIES)
        right = jax.grad(lambda z, at=at: (wanted(z, taken, without)[at] * WEIGHTS).sum())(QUERIES)
        np.testing.assert_allclose(slope, right, rtol=1e-4, atol=1e-4)


def test_no_item_at_all_is_an_empty_sum():
    everything = jnp.tile(jnp.arange(SIZE, dtype=jnp.int32), (5, 1))

    def total(queries):
        return softmax_over(queries, GALLERY, T, without=everything, chunk=4)

    found, slope = total(QUERIES), jax.grad(lambda z: total(z).log_sum.sum())(QUERIES)
    np.testing.assert_array_equal(found.log_sum, np.full(5, -1e9, np.float32))
    assert not found.entropy.any() and not slope.any()


@pytest.mark.parametrize("chunk", [4, 29, 100])
def test_predictions(chunk):
    values = unit(5, SIZE)[:, 0]

    def mean(queries, use=True):
        log_sum = softmax_over(queries, GALLERY, T, chunk=chunk).log_sum
        return mean_prediction(queries, GALLERY, T, log_sum, WEIGHTS, chunk)

    def right(queries):
        return (WEIGHTS[:, None] * jax.nn.softmax(queries @ GALLERY.T / T, axis=1)).sum(axis=0)

    np.testing.assert_allclose(mean(QUERIES), right(QUERIES), rtol=1e-4, atol=1e-6)
    slopes = [jax.grad(lambda z, f=f: (f(z) * values).sum())(QUERIES) for f in (mean, right)]
    np.testing.assert_allclose(*slopes, rtol=1e-3, atol=1e-4)
    p = jax.nn.softmax(QUERIES @ GALLERY.T / T, axis=1)
    log_sum = softmax_over(QUERIES, GALLERY, T).log_sum
    found = prediction_products(QUERIES, GALLERY, T, log_sum, values, chunk)
    np.testing.assert_allclose(found[0], p @ values, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[1], (p * p).sum(axis=1), rtol=1e-4, atol=1e-6)


def test_free_places_and_parts_of_devices_change_nothing():
    """Eight devices with four places each, the last three of them free."""
    parts = jnp.concatenate([GALLERY, jnp.ones((3, WIDTH))]).reshape(8, 4, WIDTH)
    taken = jnp.concatenate([TAKEN, jnp.full(3, -9.0)])

    @partial(jax.pmap, axis_name="devices", in_axes=(None, 0))
    def split(queries, rows):
        part = Part(rows, jnp.int32(SIZE), "devices")
        found = softmax_over(queries, part, T, taken, without=WITHOUT, chunk=3)
        plain = softmax_over(queries, part, T)
        mean = mean_prediction(queries, part, T, plain.log_sum, WEIGHTS, 3)
        return found, mean, part.at(found.nearest)

    softmax, mean, rows = jax.tree.map(lambda x: x[5], split(QUERIES, parts))
    whole = softmax_over(QUERIES, GALLERY, T, TAKEN, without=WITHOUT)
    for a, b in zip(softmax, whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    log_sum = softmax_over(QUERIES, GALLERY, T).log_sum
    right = mean_prediction(QUERIES, GALLERY, T, log_sum, WEIGHTS)
    np.testing.assert_allclose(mean[:SIZE], right, rtol=1e-5, atol=1e-7)
    assert not mean[SIZE:].any()
    np.testing.assert_array_equal(rows, GALLERY[whole.nearest])
