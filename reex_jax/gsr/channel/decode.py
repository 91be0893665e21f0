"""The likeliest sentences of a lattice of candidate words, and how likely each word is in them."""

import heapq
import math
from collections.abc import Callable, Sequence

Column = Sequence[tuple[int, float]]
"""Candidates of one word: its id and the log probability of what was written, given the word."""
Step = Callable[[int, int], float]
"""(id of the word before, id) -> log probability."""


def best_sentences(columns: Sequence[Column], step: Step, count: int) -> list[tuple[float, list[int]]]:
    """The `count` likeliest choices, best first (Viterbi 1967; with n best: Chow, Schwartz 1989).

    Args:
        columns: at least one candidate each.
        step: of the language.
        count: how many, from 1 on; fewer come back where the lattice has fewer.

    Returns:
        (log probability, for each column the place of the chosen candidate).
    """
    # ends[k]: the best partial sentences that end in candidate k, as (score, link).
    Link = tuple[int, "Link | None"]  # type: ignore[misc]
    ends: list[list[tuple[float, Link | None]]] = [[(0.0, None)]]
    before = [-1]
    for column in columns:
        following = []
        for place, (word, fit) in enumerate(column):
            if count == 1:
                score, link = max(
                    ((end[0][0] + step(previous, word), end[0][1])
                     for previous, end in zip(before, ends, strict=True)),
                    key=_score,
                )  # fmt: skip
                following.append([(score + fit, (place, link))])
                continue
            arrivals = []
            for previous, end in zip(before, ends, strict=True):
                more = step(previous, word) + fit
                arrivals += [(score + more, link) for score, link in end]
            best = heapq.nlargest(count, arrivals, key=_score)
            following.append([(score, (place, link)) for score, link in best])
        ends = following
        before = [word for word, _ in column]
    found = heapq.nlargest(count, (item for end in ends for item in end), key=_score)
    sentences = []
    for score, link in found:
        places = []
        while link is not None:
            place, link = link
            places.append(place)
        sentences.append((score, places[::-1]))
    return sentences


def _score(item: tuple[float, object]) -> float:
    return item[0]


def posteriors(columns: Sequence[Column], step: Step) -> list[list[float]]:
    """Probability of each candidate, given the whole sentence (forward-backward; Rabiner 1989)."""
    forwards: list[list[float]] = []
    steps: list[list[list[float]]] = []
    total, before = [0.0], [-1]
    for column in columns:
        rows = [[step(previous, word) + fit for previous in before] for word, fit in column]
        total = [
            _log_sum([t + s for t, s in zip(total, row, strict=True)]) for row in rows
        ]
        forwards.append(total)
        steps.append(rows)
        before = [word for word, _ in column]
    found = []
    backward = [0.0] * len(total)
    for forward, rows in zip(reversed(forwards), reversed(steps), strict=True):
        joint = [f + b for f, b in zip(forward, backward, strict=True)]
        whole = _log_sum(joint)
        found.append([math.exp(j - whole) for j in joint])
        backward = [
            _log_sum([row[at] + b for row, b in zip(rows, backward, strict=True)])
            for at in range(len(rows[0]))
        ]
    return found[::-1]


def _log_sum(values: Sequence[float]) -> float:
    if len(values) == 1:
        return values[0]
    top = max(values)
    return top + math.log(sum([math.exp(value - top) for value in values]))
