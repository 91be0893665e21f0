"""How many words or characters a text corruption touches, and which.

Only uniform numbers are drawn: of NumPy's distributions they are the least likely to ever change
between versions.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Option = TypeVar("Option")


def share_of(available: int, tenths: float, rng: np.random.Generator) -> int:
    """How many things a share of `tenths` / 10 of `available` (one or more) is: at least one.

    A fraction is rounded up or down at random: the mean is max(1, available * tenths / 10).
    """
    return min(max(int(available * tenths / 10 + rng.random()), 1), available)


def choose(available: int, count: int, rng: np.random.Generator) -> list[int]:
    """`count` distinct numbers below `available`, in random order."""
    return sorted(range(available), key=rng.random(available).tolist().__getitem__)[:count]


def pick(options: str, rng: np.random.Generator) -> str:
    """One character of `options`, each as likely."""
    return pick_one(options, rng)


def pick_one(options: Sequence[Option], rng: np.random.Generator) -> Option:
    """One of `options`, each as likely."""
    return options[int(rng.random() * len(options))]
