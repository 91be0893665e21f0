"""What each word of a text may stand for, and one way to read it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reex_jax.gsr.channel.decode import Column
from reex_jax.gsr.words import Piece


class Found(NamedTuple):
    """What a word as written may stand for.

    Attributes:
        words: [C] ids, likeliest first.
        fits: [C, W] log probability of what was written, given each word and writer.
        evidence: [W] log probability of what was written, given each writer.
    """

    words: list[int]
    fits: NDArray[np.float32]
    evidence: NDArray[np.float32]


class Reading(NamedTuple):
    """One way to read a text.

    Attributes:
        text: as it would be written.
        edits: log probability of what was written, given this.
        language: log probability of its words.
    """

    text: str
    edits: float
    language: float


@dataclass(frozen=True, slots=True)
class Lattice:
    """One text, its words and what each may stand for.

    Attributes:
        pieces: words and marks that are looked at.
        columns: for each piece its candidates.
        forms: for each piece the candidates as texts.
    """

    text: str
    pieces: list[Piece]
    columns: list[Column]
    forms: list[list[str]]
    doubtful: list[bool]
