"""The likeliest way through the candidates of each word, and how likely each choice is."""

import math
from collections.abc import Callable, Sequence

Candidates = Sequence[tuple[str, float]]
"""Words with their log likelihood, apart from context."""


def best_path(
    columns: Sequence[Candidates], log_probability: Callable[[str, str], float]
) -> tuple[list[int], list[float]]:
    """The path with the highest probability (Viterbi 1967) and its words' posteriors.

    Args:
        columns: for each word of a sentence its candidates, at least one.
        log_probability: (word, previous word or "") -> log probability.

    Returns:
        for each column the index of its word on the best path, and the posterior probability of
        that word given all columns (forward-backward; Rabiner 1989): 1 where it is alone.
    """
    best: list[float] = []  # of the best path that ends at each candidate of the column
    total: list[float] = []  # log of the sum over all paths that end there
    forwards: list[list[float]] = []
    steps: list[list[list[float]]] = []
    back: list[list[int]] = []
    previous: Candidates = (("", 0.0),)
    best, total = [0.0], [0.0]
    for column in columns:
        step = [
            [log_probability(word, before) + fit for before, _ in previous] for word, fit in column
        ]
        arrivals = [[b + s for b, s in zip(best, row, strict=True)] for row in step]
        pointers = [max(range(len(row)), key=row.__getitem__) for row in arrivals]
        best = [row[pointer] for row, pointer in zip(arrivals, pointers, strict=True)]
        total = [_log_sum([t + s for t, s in zip(total, row, strict=True)]) for row in step]
        back.append(pointers)
        steps.append(step)
        forwards.append(total)
        previous = column
    chosen = _trace(best, back)
    return chosen, _posteriors(chosen, forwards, steps)


def _trace(best: Sequence[float], back: Sequence[Sequence[int]]) -> list[int]:
    chosen: list[int] = []
    at = max(range(len(best)), key=best.__getitem__)
    for pointers in reversed(back):
        chosen.append(at)
        at = pointers[at]
    return chosen[::-1]


def _posteriors(
    chosen: Sequence[int],
    forwards: Sequence[Sequence[float]],
    steps: Sequence[Sequence[Sequence[float]]],
) -> list[float]:
    posteriors = []
    backward = [0.0] * len(forwards[-1]) if forwards else []
    for at, forward, step in zip(
        reversed(chosen), reversed(forwards), reversed(steps), strict=True
    ):
        joint = [f + b for f, b in zip(forward, backward, strict=True)]
        posteriors.append(math.exp(joint[at] - _log_sum(joint)))
        backward = [
            _log_sum([row[before] + b for row, b in zip(step, backward, strict=True)])
            for before in range(len(step[0]))
        ]
    return posteriors[::-1]


def _log_sum(values: Sequence[float]) -> float:
    if len(values) == 1:
        return values[0]
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))
