"""top_k and ranks_of against a stable sort in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reex_jax.errors import UserError
from reex_jax.retrieval.ranks import ranks_of
from reex_jax.retrieval.topk import top_k


def naive_order(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Gallery positions by falling score; a stable sort keeps equal ones in order."""
    return np.argsort(-(queries @ gallery.T), axis=1, kind="stable")


@st.composite
def problems(draw):
    """Whole-number vectors: their products are exact, and many of them tie."""
    # Few shapes, since each compiles: one item, whole chunks, a ragged last chunk.
    size, width = draw(st.sampled_from([1, 8, 23])), 2
    batch, k = draw(st.sampled_from([(1, 1), (3, size // 2 + 1), (3, size)]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    spread = draw(st.sampled_from([0, 1, 9]))
    queries = rng.integers(-spread, spread + 1, (batch, width)).astype(np.float32)
    gallery = rng.integers(-spread, spread + 1, (size, width)).astype(np.float32)
    return queries, gallery, k, draw(st.sampled_from([4, 64]))


@settings(max_examples=60, deadline=None)
@given(problems())
def test_top_k_is_the_head_of_a_stable_sort(problem):
    queries, gallery, k, chunk = problem
    scores, positions = top_k(queries, gallery, k, chunk)
    expected = naive_order(queries, gallery)[:, :k]
    np.testing.assert_array_equal(positions, expected)
    np.testing.assert_array_equal(scores, np.take_along_axis(queries @ gallery.T, expected, axis=1))
    assert positions.dtype == jnp.int32 and scores.dtype == jnp.float32


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(0, 10**6))
def test_ranks_are_places_in_a_stable_sort(problem, seed):
    queries, gallery, _, chunk = problem
    answers = np.random.default_rng(seed).integers(-1, len(gallery), (len(queries), 3))
    ranks = np.asarray(ranks_of(queries, gallery, answers, chunk))
    order = naive_order(queries, gallery)
    for query, row in enumerate(answers):
        for column, answer in enumerate(row):
            place = -1 if answer < 0 else list(order[query]).index(answer)
            assert ranks[query, column] == place


def test_rank_and_top_k_agree_on_duplicates_across_chunks():
    """The same vector in two chunks must tie to the last bit."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(7, 33)).astype(np.float32)
    gallery = np.concatenate([rows, rows, rows])
    queries = rng.normal(size=(5, 33)).astype(np.float32)
    everyone = np.tile(np.arange(21, dtype=np.int32), (5, 1))
    ranks = np.asarray(ranks_of(queries, gallery, everyone, chunk=4))
    _, positions = top_k(queries, gallery, 21, chunk=4)
    np.testing.assert_array_equal(np.argsort(ranks, axis=1), positions)


def test_impossible_k_and_widths_are_refused():
    queries, gallery = np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)
    with pytest.raises(UserError, match=r"k is 5, but must lie in 1\.\.4"):
        top_k(queries, gallery, 5)
    with pytest.raises(UserError, match=r"queries \[2, 2\] and gallery \[4, 3\]"):
        top_k(queries[:, :2], gallery, 1)
    with pytest.raises(UserError, match="same checkpoint"):
        ranks_of(queries[:, :2], gallery, np.zeros((2, 1), np.int32))


def test_query_that_is_not_finite_never_hits():
    queries, gallery = np.ones((2, 3), np.float32), np.eye(3, dtype=np.float32)
    queries[0, 1] = np.nan
    answers = np.array([[0, 2, -1], [0, 2, -1]], np.int32)
    for chunk in (2, 8):
        ranks = ranks_of(queries, gallery, answers, chunk)
        np.testing.assert_array_equal(ranks, [[3, 3, -1], [0, 2, -1]])


def test_answer_that_is_not_in_the_gallery():
    rows = np.ones((4, 3), np.float32)
    for wrong in (4, -2):
        with pytest.raises(UserError, match=rf"query 1 has the answer {wrong}, .* 0\.\.3"):
            ranks_of(rows[:2], rows, np.array([[0], [wrong]], np.int32))
