"""The likeliest sentences of a lattice of candidate words, and how likely each word is in them."""

import heapq
import math
from collections.abc import Callable, Sequence
from typing import Any

Column = Sequence[tuple[int, float]]
"""Candidates of one word: its id and the log probability of what was written, given the word."""
Steps = Sequence[Sequence[Sequence[float]]]
"""For each column, for each of its words, log probabilities after each word of the column before
(one word, the start, before the first), the word's own fit included."""


def sentence_steps(columns: Sequence[Column], steps: Callable[..., list[list[float]]]) -> Steps:
    """The steps of a sentence.

    Args:
        columns: at least one candidate each.
        steps: (ids before, ids) -> for each id log probabilities after each id before.
    """
    before, found = [-1], []
    for column in columns:
        words = [word for word, _ in column]
        rows = steps(before, words)
        found.append([[s + fit for s in row] for row, (_, fit) in zip(rows, column, strict=True)])
        before = words
    return found


def best_sentence(steps: Steps) -> list[int]:
    """For each column the place of its word in the likeliest sentence (Viterbi 1967)."""
    best, back = [0.0], []
    for rows in steps:
        ends = [[b + s for b, s in zip(best, row, strict=True)] for row in rows]
        best = [max(row) for row in ends]
        back.append([row.index(top) for row, top in zip(ends, best, strict=True)])
    at, places = best.index(max(best)), []
    for pointers in reversed(back):
        places.append(at)
        at = pointers[at]
    return places[::-1]


def best_sentences(steps: Steps, count: int) -> list[tuple[float, list[int]]]:
    """The `count` likeliest sentences, best first (n-best Viterbi; Chow and Schwartz 1989).

    Returns:
        (log probability, for each column the place of its word); fewer where there are fewer.
    """
    # A partial sentence is (score, (place, the partial sentence before)).
    ends: list[list[tuple[float, Any]]] = [[(0.0, None)]]
    for rows in steps:
        following = []
        for place, row in enumerate(rows):
            arrivals = [
                (score + more, link)
                for end, more in zip(ends, row, strict=True)
                for score, link in end
            ]
            best = heapq.nlargest(count, arrivals, key=_score)
            following.append([(score, (place, link)) for score, link in best])
        ends = following
    sentences = []
    for score, link in heapq.nlargest(count, (item for end in ends for item in end), key=_score):
        places = []
        while link is not None:
            place, link = link
            places.append(place)
        sentences.append((score, places[::-1]))
    return sentences


def _score(item: tuple[float, Any]) -> float:
    return item[0]


def posteriors(steps: Steps) -> list[list[float]]:
    """Probability of each candidate, given the whole sentence (forward-backward; Rabiner 1989)."""
    forwards: list[list[float]] = []
    total = [0.0]
    for rows in steps:
        total = [_log_sum([t + s for t, s in zip(total, row, strict=True)]) for row in rows]
        forwards.append(total)
    found = []
    backward = [0.0] * len(total)
    for forward, rows in zip(reversed(forwards), reversed(steps), strict=True):
        joint = [f + b for f, b in zip(forward, backward, strict=True)]
        whole = _log_sum(joint)
        found.append([math.exp(j - whole) for j in joint])
        backward = [
            _log_sum([s + b for s, b in zip(step, backward, strict=True)])
            for step in zip(*rows, strict=True)
        ]
    return found[::-1]


def _log_sum(values: Sequence[float]) -> float:
    if len(values) == 1:
        return values[0]
    top = max(values)
    return top + math.log(sum([math.exp(value - top) for value in values]))
