"""Sentences of a lattice against the list of all of them."""

import itertools
import math

import numpy as np

from reex_jax.gsr.channel.decode import (
    best_sentence,
    best_sentences,
    posteriors,
    sentence_steps,
)

RNG = np.random.default_rng(0)
PAIRS = RNG.normal(size=(10, 10))
COLUMNS = [
    [(0, -0.5)],
    [(1, 0.0), (2, -1.0), (3, 0.3)],
    [(4, 0.1), (5, -0.2)],
    [(6, 0.0), (7, 1.0)],
]


def steps(before: list[int], words: list[int]) -> list[list[float]]:
    return [[float(PAIRS[word, previous]) for previous in before] for word in words]


def everything() -> list[tuple[float, list[int]]]:
    listed = []
    for places in itertools.product(*(range(len(column)) for column in COLUMNS)):
        total, before = 0.0, -1
        for column, place in zip(COLUMNS, places, strict=True):
            word, fit = column[place]
            total, before = total + float(PAIRS[word, before]) + fit, word
        listed.append((total, list(places)))
    return sorted(listed, reverse=True)


def test_n_best_are_the_first_of_all() -> None:
    expected = everything()
    found = best_sentences(sentence_steps(COLUMNS, steps), 5)
    assert [places for _, places in found] == [places for _, places in expected[:5]]
    np.testing.assert_allclose([s for s, _ in found], [s for s, _ in expected[:5]])
    assert best_sentence(sentence_steps(COLUMNS, steps)) == expected[0][1]


def test_more_than_there_are_gives_all() -> None:
    assert len(best_sentences(sentence_steps(COLUMNS, steps), 99)) == 12


def test_posteriors_sum_over_all_sentences() -> None:
    expected = everything()
    whole = math.fsum(math.exp(score) for score, _ in expected)
    for at, shares in enumerate(posteriors(sentence_steps(COLUMNS, steps))):
        for place, share in enumerate(shares):
            mass = math.fsum(math.exp(s) for s, places in expected if places[at] == place)
            np.testing.assert_allclose(share, mass / whole)
