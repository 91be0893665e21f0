"""Finds every word within two edits of a damaged one, for many words at once.

The index is that of SymSpell (Garbe 2012): each word under all strings that are left when up to
two of its letters are left out. Here it is two sorted arrays of NumPy instead of a dictionary of
strings, so that it is made in a second and takes a fifth of the memory, and one binary search
finds all strings of a batch.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from reex_jax.gsr.channel.edit_costs import encode, is_trace

LONGEST = 24
"""Letters of a word; longer ones are left alone."""
MOST_EDITS = 2
LONG_WORD = 9
"""From this many letters on, likely words are found within three edits."""
_LIKELY = -16.0  # log probability of these
_BASE = np.uint32(0x01000193)  # FNV's prime: a polynomial hash, modulo 2^32
_PRUNED = 40  # candidates of a word that are weighed exactly
_ABOUT = 7.0  # log probability that one edit costs, about; for pruning only


@dataclass(frozen=True, eq=False)
class WordIndex:
    """Words under the hashes of what is left of them.

    Attributes:
        letters: [V, LONGEST] uint8, padded with 0.
        lengths: [V].
        keys: [K] uint32, sorted.
        owners: [K] int32, the word of each key.
        edits: [K] uint8, how many letters were left out.
    """

    letters: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    keys: NDArray[np.uint32]
    owners: NDArray[np.int32]
    edits: NDArray[np.uint8]


@cache
def _kept(length: int, edits: int) -> NDArray[np.int64]:
    """[C, length - edits] places that stay when `edits` of `length` are left out."""
    return np.array(
        [places for places in itertools.combinations(range(length), length - edits)], np.int64
    ).reshape(-1, length - edits)


def _hashes(rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Hash of each row of [..., n]."""
    total = np.full(rows.shape[:-1], 2166136261, np.uint32)
    for place in range(rows.shape[-1]):
        total = total * _BASE + rows[..., place]
    return total


def build_index(words: Sequence[str], log_prior: NDArray[np.float32]) -> WordIndex:
    """Indexes words of ASCII letters and apostrophes, at most `LONGEST` of them each.

    Args:
        words: V words.
        log_prior: [V] their log probabilities.
    """
    letters = np.zeros((len(words), LONGEST), np.uint8)
    lengths = np.array([len(word) for word in words], np.int64)
    for row, word in enumerate(words):
        letters[row, : len(word)] = np.frombuffer(word.encode("ascii"), np.uint8)
    keys, owners, edits = [], [], []
    for length in range(1, LONGEST + 1):
        at = np.flatnonzero(lengths == length)
        likely = at[log_prior[at] > _LIKELY]
        for count in range(min(_most(length), length - 1) + 1):
            at = at if count <= MOST_EDITS else likely
            for places in _kept(length, count):
                keys.append(_hashes(letters[np.ix_(at, places)]))
                owners.append(at.astype(np.int32))
                edits.append(np.full(len(at), count, np.uint8))
    key = np.concatenate(keys)
    order = np.argsort(key, kind="stable")
    return WordIndex(
        letters, lengths, key[order], np.concatenate(owners)[order], np.concatenate(edits)[order]
    )


def _most(length: int) -> int:
    return MOST_EDITS + (length >= LONG_WORD)


def find_pairs(
    index: WordIndex, words: Sequence[str], log_prior: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indexed words that may stand behind written ones.

    Args:
        index: of V words.
        words: as written, each with 1 to `LONGEST` signs.
        log_prior: [V] log probability of each indexed word, for pruning.

    Returns:
        (places in `words` [P], places in the index [P]), for each written word the likeliest 40.
    """
    keys, owners, costs = [], [], []
    for at, word in enumerate(words):
        hashes, edits = _remainders(word)
        keys.append(hashes)
        costs.append(edits)
        owners.append(np.full(len(hashes), at, np.int32))
    key, owner, cost = np.concatenate(keys), np.concatenate(owners), np.concatenate(costs)
    low = np.searchsorted(index.keys, key, "left")
    counts = np.searchsorted(index.keys, key, "right") - low
    source = np.repeat(np.arange(len(key)), counts)
    within = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
    hit = low[source] + within
    found, word_at = index.owners[hit], owner[source]
    edits = np.maximum(index.edits[hit], cost[source])
    score = log_prior[found] - np.float32(_ABOUT) * edits
    # The best score of each pair, then the best pairs of each word.
    pair = word_at.astype(np.int64) * len(index.lengths) + found
    order = np.lexsort((-score, pair))
    first = np.ones(len(order), bool)
    first[1:] = pair[order][1:] != pair[order][:-1]
    order = order[first]
    order = order[np.lexsort((-score[order], word_at[order]))]
    rank = _rank_within(word_at[order])
    order = order[rank < _PRUNED]
    return word_at[order].astype(np.int64), found[order].astype(np.int64)


def _rank_within(groups: NDArray[np.int32]) -> NDArray[np.int64]:
    """Place of each row in its run of equal values."""
    if not len(groups):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    lengths = np.diff(np.r_[starts, len(groups)]).astype(np.int64)
    return np.arange(len(groups)) - np.repeat(starts, lengths)


def _remainders(word: str) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Hashes of what is left of a written word, and about how many edits that took.

    Odd signs may all be left out, which counts as half an edit each.
    """
    codes = encode(word)
    small = np.array([code & 127 for code in codes], np.uint8)
    odd = np.array([is_trace(code) for code in codes])
    hashes, edits = [], []
    forms = [(small, 0.0)]
    if odd.any() and not odd.all():
        forms.append((small[~odd], float(odd.sum()) / 2))
    for form, spent in forms:
        for count in range(_most(len(form)) + 1):
            if len(form) - count < 1 or (count == 2 and len(form) < 4 and spent == 0):
                continue
            if spent and count > 1 and odd.sum() > 1:
                continue
            left = _hashes(form[_kept(len(form), count)])
            hashes.append(left)
            edits.append(np.full(len(left), spent + count, np.float32))
    return np.concatenate(hashes), np.concatenate(edits)
