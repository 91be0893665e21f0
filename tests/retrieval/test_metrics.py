"""Metrics against hand-computed numbers and a loop over rankings."""

import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.retrieval.metrics import (
    average_precisions,
    bootstrap_interval,
    hits_at,
    paired_bootstrap,
    recall_interval,
    retrieval_metrics,
)

EXAMPLE = np.array([[0, 2], [3, -1]])


def test_docstring_example():
    metrics = retrieval_metrics(EXAMPLE)
    assert metrics["recall@1"] == 50 and metrics["recall@5"] == 100
    assert metrics["mAP"] == pytest.approx(100 * ((1 + 2 / 3) / 2 + 1 / 4) / 2)
    assert metrics["median_rank"] == 2.5


def test_against_a_loop_over_whole_rankings():
    rng = np.random.default_rng(1)
    relevant = rng.random((30, 40)) < 0.08
    relevant[:, 5] = True  # every query has an answer
    width = relevant.sum(axis=1).max()
    ranks = np.full((30, width), -1)
    precisions, recalled = [], []
    for query, row in enumerate(relevant):
        places = np.flatnonzero(row)
        ranks[query, : len(places)] = rng.permutation(places)
        found, total = 0, 0.0
        for place, right in enumerate(row, start=1):
            if right:
                found += 1
                total += found / place
        precisions.append(total / found)
        recalled.append(bool(row[:5].any()))
    np.testing.assert_allclose(average_precisions(ranks), precisions, rtol=1e-12)
    np.testing.assert_array_equal(hits_at(ranks, 5), recalled)


def test_query_without_answer_is_named():
    with pytest.raises(UserError, match=r"1 queries have no right answer.*query 1"):
        retrieval_metrics(np.array([[0, 1], [-1, -1]]))
    with pytest.raises(UserError, match="at least one query"):
        retrieval_metrics(np.zeros((0, 2), int))


def test_bootstrap_matches_resampling_one_by_one():
    values = np.random.default_rng(0).random(400) < 0.3
    low, high = bootstrap_interval(values, seed=0, resamples=4000)
    rng = np.random.default_rng(1)
    means = [values[rng.integers(0, 400, 400)].mean() for _ in range(4000)]
    np.testing.assert_allclose([low, high], np.quantile(means, [0.025, 0.975]), atol=0.006)
    assert (low, high) == bootstrap_interval(values, seed=0, resamples=4000)


def test_interval_holds_the_recall():
    ranks = np.random.default_rng(0).integers(0, 4, (200, 1))
    interval, recall = recall_interval(ranks, seed=0), retrieval_metrics(ranks)["recall@1"]
    assert interval["recall@1_low"] < recall < interval["recall@1_high"]


def test_paired_bootstrap_matches_resampling_one_by_one():
    rng = np.random.default_rng(0)
    first = rng.random(500) < 0.5
    second = first ^ (rng.random(500) < 0.1)
    difference = first.astype(float) - second
    shifted = difference - difference.mean()
    means = np.array([shifted[rng.integers(0, 500, 500)].mean() for _ in range(4000)])
    expected = (np.abs(means) >= abs(difference.mean()) - 1e-12).mean()
    p = paired_bootstrap(first, second, seed=0, resamples=4000)
    assert 0.05 < p < 0.95 and p == pytest.approx(expected, abs=0.03)
    assert paired_bootstrap(second, first, seed=0, resamples=4000) == pytest.approx(p, abs=0.03)


def test_paired_bootstrap_of_clear_cases():
    first = np.arange(2000) % 2 == 0
    better = first | (np.arange(2000) < 120)  # 60 queries more, none lost
    assert paired_bootstrap(first, better, seed=0) == pytest.approx(1 / 1001)
    assert paired_bootstrap(first, first, seed=0) == 1.0


def test_paired_bootstrap_needs_pairs():
    with pytest.raises(UserError, match=r"not \(2,\) and \(3,\)"):
        paired_bootstrap(np.ones(2), np.ones(3), seed=0)
