"""The best path and its posteriors, against all paths written out."""

import itertools
import math

import numpy as np
import pytest

from reex_jax.gsr.lattice import best_path


@pytest.mark.parametrize("sizes", [(1,), (3,), (1, 3, 1, 2), (2, 2, 3, 2)])
def test_against_all_paths(sizes):
    rng = np.random.default_rng(sum(sizes))
    names = [[f"{i}{j}" for j in range(size)] for i, size in enumerate(sizes)]
    columns = [[(name, float(rng.normal())) for name in column] for column in names]
    table: dict[tuple[str, str], float] = {}

    def log_probability(word, previous):
        return table.setdefault((word, previous), float(rng.normal()))

    chosen, posteriors = best_path(columns, log_probability)
    weights = {}
    for path in itertools.product(*map(range, sizes)):
        score, previous = 0.0, ""
        for column, at in zip(columns, path, strict=True):
            word, fit = column[at]
            score += fit + log_probability(word, previous)
            previous = word
        weights[path] = math.exp(score)
    assert tuple(chosen) == max(weights, key=weights.get)
    total = sum(weights.values())
    for position, at in enumerate(chosen):
        mass = sum(w for path, w in weights.items() if path[position] == at)
        assert posteriors[position] == pytest.approx(mass / total, rel=1e-9)


def test_no_words():
    assert best_path([], lambda word, previous: 0.0) == ([], [])
