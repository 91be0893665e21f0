"""Word and word pair probabilities from counts of several sources, smoothed.

Sources: symspellpy's lists (MIT; Google Books and SCOWL), and where it is installed wordsegment's
(Apache-2.0; from the trillion words of the web that Brants and Franz counted in 2006).
"""

import importlib.resources
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reex_jax.gsr.channel.candidates import LONGEST

_RARE = 1e-10  # probability of a word that no source has
_PAIR = 0.8  # weight of a pair's own share; the rest is the word's own
_LOG_REST = math.log(1 - _PAIR)


@dataclass(frozen=True, eq=False)
class Language:
    """Log probabilities of words and of their following each other.

    Attributes:
        words: V words in lower case; the index of a word is its id.
        ids: word -> id.
        log_prior: [V] log probability of each word.
        proposed: [V] whether the word may be proposed as a repair.
        pairs: first id -> second id -> log probability of the second after the first.
        unseen: first id -> the most that a pair may have which no source has, as log.
    """

    words: Sequence[str]
    ids: Mapping[str, int] = field(repr=False)
    log_prior: NDArray[np.float32] = field(repr=False)
    proposed: NDArray[np.bool_] = field(repr=False)
    pairs: Mapping[int, Mapping[int, float]] = field(repr=False)
    unseen: Mapping[int, float] = field(repr=False)

    @cached_property
    def priors(self) -> list[float]:
        """`log_prior`, and the one of an unknown word at the end, so that its id is -1."""
        return [*self.log_prior.tolist(), math.log(_RARE)]

    def steps(self, before: Sequence[int], words: Sequence[int]) -> list[list[float]]:
        """Log probability of each word after each one before it; ids, -1 for unknown or the start.

        Returns:
            for each word a list over the words before.
        """
        alone = [self.priors[word] for word in words]
        columns = []
        for previous in before:
            seen = self.pairs.get(previous)
            if seen is None:
                columns.append(alone)
                continue
            most = self.unseen[previous]
            columns.append(
                [
                    seen[word] if word in seen else min(log + _LOG_REST, most)
                    for word, log in zip(words, alone, strict=True)
                ]
            )
        return list(map(list, zip(*columns, strict=True)))


def merge_sources(
    sources: Sequence[tuple[Mapping[str, float], Mapping[str, float]]],
    weights: Sequence[float],
    proposed: Sequence[bool],
    least: float,
) -> Language:
    """One language from several sources of counts.

    Args:
        sources: for each (word -> count, "first second" -> count); pairs may be empty.
        weights: share of each source in a word's probability.
        proposed: whether a source's words may be proposed as repairs.
        least: probability from which on a word of any source may be proposed.
    """
    ids: dict[str, int] = {}
    for words, _ in sources:
        for word in words:
            if len(word) <= LONGEST and word.isascii() and word.replace("'", "a").isalpha():
                ids.setdefault(word, len(ids))
    size = len(ids)
    prior, may = np.zeros(size), np.zeros(size, bool)
    pairs: dict[int, float] = {}
    unseen: dict[int, float] = {}
    with_pairs = sum(bool(p) for _, p in sources)
    for (words, counts), weight, may_propose in zip(sources, weights, proposed, strict=True):
        total = sum(words.values())
        at = np.array([ids[w] for w in words if w in ids], np.int64)
        values = np.array([c for w, c in words.items() if w in ids])
        prior[at] += weight * values / total
        if may_propose:
            may[at] = True
        if not counts:
            continue
        firsts: dict[str, float] = {}
        for key, count in counts.items():
            first = key.partition(" ")[0]
            firsts[first] = firsts.get(first, 0.0) + count
        rarest = min(counts.values())
        for first, count in firsts.items():
            firsts[first] = max(count, words.get(first, 0.0))
            if first in ids:
                bound = rarest / firsts[first]
                unseen[ids[first]] = unseen.get(ids[first], 0.0) + bound / with_pairs
        for key, count in counts.items():
            first, _, second = key.partition(" ")
            if first in ids and second in ids:
                code = ids[first] * size + ids[second]
                pairs[code] = pairs.get(code, 0.0) + count / firsts[first] / with_pairs
    prior = np.maximum(prior, _RARE)
    may |= prior >= least
    after: dict[int, dict[int, float]] = {}
    for code, share in pairs.items():
        before, word_id = divmod(code, size)
        log = math.log(_PAIR * share + (1 - _PAIR) * prior[word_id])
        after.setdefault(before, {})[word_id] = log
    logs = {before: math.log(bound) for before, bound in unseen.items()}
    return Language(list(ids), ids, np.log(prior).astype(np.float32), may, after, logs)


def read_counts(package: str, name: str, separator: str) -> dict[str, float]:
    """A list of a package: key and count on each line."""
    lines = importlib.resources.files(package).joinpath(name).read_text("utf-8-sig").splitlines()
    counts = {}
    for line in lines:
        key, _, count = line.rpartition(separator)
        counts[key] = float(count)
    return counts
