"""Noticing that other queries arrive."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.retrieval.shift import LONGEST, WINDOW, follow, no_sort

WIDTH, ABOVE = 16, 4.0


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def drawn(seed, n, towards=0):
    """Queries around one direction of their sort."""
    centre = np.eye(WIDTH)[towards]
    return unit(np.random.default_rng(seed).normal(size=(n, WIDTH)) + 2 * centre)


run = jax.jit(follow, static_argnums=3)


def changes(batches, above=ABOVE, sort=None):
    """The numbers of the batches that are noticed, and the last statistics."""
    sort, noticed = sort or no_sort(WIDTH), []
    for number, batch in enumerate(batches):
        counted = jnp.ones(len(batch), bool)
        sort, changed = run(sort, jnp.asarray(batch), counted, above)
        noticed += [number] * bool(changed)
    return noticed, sort


def batches_of(rows, size):
    return [rows[at : at + size] for at in range(0, len(rows), size)]


@pytest.mark.parametrize("size", [1, 8, 64])
def test_queries_of_one_sort_are_no_change(size):
    for seed in range(3):
        assert changes(batches_of(drawn(seed, 768), size))[0] == []


@pytest.mark.parametrize("size", [1, 8, 64])
def test_another_sort_is_noticed_once_and_soon(size):
    first, second = drawn(1, 256), drawn(2, 512, towards=1)
    noticed, sort = changes(batches_of(np.concatenate([first, second]), size))
    number = len(noticed)
    assert 1 <= number <= 2, noticed
    assert 256 <= noticed[0] * size < 256 + max(2 * WINDOW, size)
    # From then on it is the new sort that is expected.
    np.testing.assert_allclose(sort.mean, second.mean(axis=0), atol=0.08)


def test_zero_never_changes():
    rows = np.concatenate([drawn(1, 128), drawn(2, 256, towards=1)])
    assert changes(batches_of(rows, 64), above=0.0)[0] == []


def test_statistics_are_those_of_numpy():
    rows = drawn(1, 300)
    _, sort = changes(batches_of(rows, 50))
    np.testing.assert_allclose(sort.mean, rows.mean(axis=0), atol=1e-5)
    around = ((rows - rows.mean(axis=0)) ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(sort.variance, around, rtol=0.05)
    assert sort.seen == 300
    np.testing.assert_allclose(sort.recent, rows[-50:].mean(axis=0), atol=1e-6)
    assert changes(batches_of(drawn(1, 800), 50))[1].seen == LONGEST


def test_padding_and_repeats_count_nothing():
    rows = drawn(1, 128)
    _, sort = changes(batches_of(rows, 32))
    other = np.concatenate([drawn(3, 8), np.full((4, WIDTH), np.nan, np.float32)])
    wanted, _ = run(sort, jnp.asarray(other[:8]), jnp.ones(8, bool), ABOVE)
    found, _ = run(sort, jnp.asarray(other), jnp.arange(12) < 8, ABOVE)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    nothing, changed = run(sort, jnp.asarray(other), jnp.zeros(12, bool), ABOVE)
    for a, b in zip(nothing, sort, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert not changed
