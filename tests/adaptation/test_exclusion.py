"""Exclusion sets against a loop over queries and candidates."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reex_jax.adaptation.exclusion import (
    contains,
    exclude_candidates,
    restrict,
)
from reex_jax.settings.methods import STRATEGIES

# Each shape compiles: queries, gallery, k.
SHAPES = ((1, 1, 1), (1, 7, 3), (4, 1, 5), (4, 7, 0), (4, 7, 3), (4, 7, 7), (6, 3, 20), (6, 9, 1))
everywhere = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def naive_plausible(row: np.ndarray, k: int) -> list[int]:
    """Gallery positions, nearest first, equal ones in order."""
    return sorted(range(len(row)), key=lambda j: (-row[j], j))[:k]


def naive_candidates(similarities: np.ndarray, k: int, mask: np.ndarray) -> np.ndarray:
    rows = len(similarities)
    nearest = [naive_plausible(row, 1)[0] for row in similarities]
    excluded = np.zeros((rows, rows), bool)
    for i in range(rows):
        plausible = naive_plausible(similarities[i], k)
        for j in range(rows):
            excluded[i, j] = j != i and mask[j] and nearest[j] not in plausible
    return excluded


@st.composite
def problems(draw):
    """Products of whole numbers, so that many tie exactly; spread 0 makes all equal."""
    rows, size, k = draw(st.sampled_from(SHAPES))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    spread = draw(st.sampled_from([0, 1, 9]))
    gallery = rng.integers(-spread, spread + 1, (size, 2)).astype(np.float32)
    if draw(st.booleans()):
        gallery[size // 2 :] = gallery[: size - size // 2]  # duplicates
    queries = rng.integers(-spread, spread + 1, (rows, 2)).astype(np.float32)
    real = draw(st.integers(1, rows))
    return queries @ gallery.T, k, np.arange(rows) < real


@partial(jax.jit, static_argnums=1)
def candidates(similarities, k, mask):
    plausible = jax.lax.top_k(similarities, min(k, similarities.shape[1]))[1]
    return exclude_candidates(plausible, jnp.argmax(similarities, axis=1), mask)


@everywhere
@given(problems())
def test_candidates_are_excluded_as_in_a_loop(problem):
    similarities, k, mask = problem
    found = np.asarray(candidates(similarities, k, mask))
    np.testing.assert_array_equal(found, naive_candidates(similarities, k, mask))
    if k >= similarities.shape[1]:
        assert not found.any()
    if k == 0:  # every other real query is a negative
        np.testing.assert_array_equal(found, mask[None, :] & ~np.eye(len(mask), dtype=bool))


def test_the_examples_of_the_docstrings():
    plausible = jnp.array([[0, 1], [1, 2], [5, 0]])
    found = exclude_candidates(plausible, jnp.array([0, 1, 5]), jnp.ones(3, bool))
    np.testing.assert_array_equal(
        found, [[False, False, True], [True, False, True], [False, True, False]]
    )
    np.testing.assert_array_equal(contains(plausible, jnp.array([5, 2])).sum(axis=0), [1, 1])


def test_a_gallery_item_twice_is_excluded_by_position():
    """Queries 0 and 1 are nearest to the same text; it stands at 0 and at 2."""
    gallery = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    queries = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    found = candidates(queries @ gallery.T, 1, np.ones(3, bool))
    np.testing.assert_array_equal(
        found, [[False, False, True], [False, False, True], [True, True, False]]
    )


@st.composite
def chosen(draw):
    rows, size, m = draw(st.sampled_from([(1, 1, 1), (3, 8, 2), (3, 8, 20), (5, 9, 4)]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    spread = draw(st.sampled_from([0, 1, 9]))
    similarities = rng.integers(-spread, spread + 1, (rows, size)).astype(np.float32)
    excluded = rng.random((rows, size)) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    return excluded, similarities, m


pick = jax.jit(restrict, static_argnames=("strategy", "m"))


def keep(excluded, similarities, strategy, m, seed=0):
    return np.asarray(
        pick(excluded, similarities, strategy=strategy, m=m, key=jax.random.key(seed))
    )


@everywhere
@given(chosen(), st.sampled_from(["next_m", "bottom_m"]))
def test_the_most_and_least_similar_of_a_set_are_those_of_a_loop(problem, strategy):
    excluded, similarities, m = problem
    sign = -1 if strategy == "next_m" else 1
    for row, inside, found in zip(
        similarities, excluded, keep(excluded, similarities, strategy, m), strict=True
    ):
        order = sorted(np.flatnonzero(inside), key=lambda j: (sign * row[j], j))
        assert set(np.flatnonzero(found)) == set(order[:m])


@everywhere
@given(chosen(), st.integers(0, 10**6))
def test_random_choices_lie_inside_and_are_as_many_as_asked(problem, seed):
    excluded, similarities, m = problem
    found = keep(excluded, similarities, "random_m", m, seed)
    assert not (found & ~excluded).any()
    np.testing.assert_array_equal(found.sum(axis=1), np.minimum(excluded.sum(axis=1), m))


def test_random_choices_of_a_row_depend_on_its_set_alone():
    rng = np.random.default_rng(0)
    excluded, similarities = rng.random((6, 40)) < 0.7, rng.normal(size=(6, 40)).astype("f4")
    whole = keep(excluded, similarities, "random_m", 5)
    np.testing.assert_array_equal(
        keep(excluded[:2], similarities[:2], "random_m", 5), whole[:2], err_msg="fewer rows"
    )
    # Padded candidates come last and are in no set.
    more = np.pad(excluded, ((0, 0), (0, 24)))
    padded = keep(more, np.pad(similarities, ((0, 0), (0, 24))), "random_m", 5)
    np.testing.assert_array_equal(padded[:, :40], whole, err_msg="more columns")


def test_random_choices_change_with_the_key_and_the_row_and_are_fair():
    excluded, similarities = np.ones((400, 10), bool), np.zeros((400, 10), np.float32)
    found = keep(excluded, similarities, "random_m", 3)
    assert len(np.unique(found, axis=0)) > 60  # of 120
    assert not np.array_equal(found, keep(excluded, similarities, "random_m", 3, seed=1))
    # Binomial(400, 0.3): 120 with a deviation of 9.2; 5 deviations.
    assert abs(found.sum(axis=0) - 120).max() < 46


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_empty_set_stays_empty(strategy):
    empty = np.zeros((2, 3), bool)
    assert not keep(empty, np.ones((2, 3), np.float32), strategy, 2).any()


def test_outside_top_k_keeps_all():
    excluded = np.array([[True, False, True]])
    found = keep(excluded, np.ones((1, 3), np.float32), "outside_top_k", 1)
    np.testing.assert_array_equal(found, excluded)
