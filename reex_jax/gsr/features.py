"""What fusion knows about a query and its repair before any embedding."""

from collections import Counter
from collections.abc import Container, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import OSA

from reex_jax.gsr.repair import Repair
from reex_jax.gsr.words import split_pieces

_RESEMBLES = 0.5  # largest distance, as a share of the longer word, of a misspelling


class FusionFeatures(NamedTuple):
    """Evidence for each query of a batch: four arrays [B] float32 in [0, 1], NumPy's or JAX's.

    Attributes:
        oov: share of the original's words that the word list does not know.
        lost: share of its words that the repair drops: known words that are not in it, and unknown
            words that no new word of it resembles.
        edit: character edit distance (Damerau's, optimal string alignment, so that an exchange of
            neighbours is one edit), divided by the longer text's length.
        generation: generation confidence; 1 where the rewriter gives none.
    """

    oov: np.ndarray
    lost: np.ndarray
    edit: np.ndarray
    generation: np.ndarray


def text_features(
    original: str, repaired: str, words: Container[str]
) -> tuple[float, float, float]:
    """(oov, lost, edit) of one query, see `FusionFeatures`.

    For example "a rde dog" with the repair "a red cat", where a, red, dog and cat are known: one
    word of three is unknown; "dog" of three words is lost, while "rde" lives on in "red"; the
    distance is 4 (one exchange of neighbours, three other letters) of nine characters.

    Args:
        original: the query.
        repaired: its repair.
        words: the known words, in lower case.
    """
    pieces = split_pieces(original, words)
    if not pieces:
        return 0.0, 0.0, OSA.normalized_distance(original, repaired)
    oov = sum(not piece.known for piece in pieces) / len(pieces)
    if original == repaired:
        return oov, 0.0, 0.0
    known = Counter(piece.word for piece in pieces if piece.known)
    unknown = [piece.word for piece in pieces if not piece.known and piece.word]
    kept = Counter(piece.word for piece in split_pieces(repaired, words))
    lost = (known - kept).total() + _without_successor(unknown, kept - known)
    count = known.total() + len(unknown)
    return oov, lost / max(count, 1), OSA.normalized_distance(original, repaired)


def _without_successor(unknown: Sequence[str], new: Counter[str]) -> int:
    """How many unknown words no new word of the repair resembles; each new word serves once."""
    left = list(new.elements())
    gone = 0
    for word in unknown:
        near = [(OSA.normalized_distance(word, other), other) for other in left]
        distance, other = min(near, default=(1.0, ""))
        if distance <= _RESEMBLES:
            left.remove(other)
        else:
            gone += 1
    return gone


def features_of(repairs: Sequence[Repair], words: Container[str]) -> FusionFeatures:
    """The features of a list of repairs, as NumPy arrays [n] float32."""
    rows = [
        (
            *text_features(item.text, item.repaired, words),
            1.0 if item.generation is None else item.generation,
        )
        for item in repairs
    ]
    return FusionFeatures(*np.asarray(rows, np.float32).reshape(-1, 4).T)
