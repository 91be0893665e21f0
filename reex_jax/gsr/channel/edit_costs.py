"""How likely a word is to be written as another one: log probabilities of weighted edits.

A damaged query has one writer, and which one is not known beforehand. Seven are told apart:

- a person who spells badly: kinds and places of 53,000 single errors, counted over codespell
  2.4.3's list of misspellings (the counts are facts; the list itself, CC BY-SA 3.0, is no part of
  this project);
- a hand that hits the key beside the right one: a QWERTY keyboard's layout (ISO/IEC 9995);
- a machine that misreads: signs whose shapes cover each other in the DejaVu fonts, and those of
  zxcvbn's table of substitutions (MIT);
- and one for each of the four edits that Damerau (1964) found behind most errors: letters taken
  for others, put in, left out, exchanged; any printable sign as likely as any other.

None of this is taken from `reex_jax.corruptions`: the benchmark must not test its own tables.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Shares of single errors in codespell's list: left out, put in, taken for another, exchanged.
_LEFT_OUT, _PUT_IN, _TAKEN, _EXCHANGED = 0.353, 0.270, 0.201, 0.176
# Of the letters put in, how many repeat a neighbour, or touch its key; of those left out, how many
# do the same.
_DOUBLED_IN, _BESIDE_IN, _DOUBLED_OUT = 0.315, 0.223, 0.095
_OTHERS = 0.15  # share of errors that are not a writer's own, but any writer's
_DOUBLES_IN_WORDS = 0.06  # share of letters that repeat the one before, in symspellpy's words
# How many of the vowels taken for another letter are taken for a vowel, and how many of the
# consonants for a letter whose key touches theirs.
_VOWELS_TOO, _BESIDE = 0.85, 0.486
_PRINTABLE = 94
_ROWS = (("1234567890", 0.0), ("qwertyuiop", 0.5), ("asdfghjkl", 0.75), ("zxcvbnm", 1.25))
_REACH = 1.0  # width of a key: how far a neighbour's centre is away along the row
# Letter -> the ten signs whose shapes cover its own best, small or capital, best first: mean of
# DejaVu Sans, Serif and Mono (tools/measure_glyphs.py).
_SHAPES = {
    "a": "eounsqdg4b", "b": "8h0o6nEp9S", "c": "GeoOQbpndU", "d": "OoUQqun0Bg", "e": "FoBan8c6Lu",
    "f": "EPtI(!TB86", "g": "qOQCoudpUn", "h": "bnNUo6BupR", "i": "l1!Tf)|{}(", "j": "]|)}i{1;I!",
    "k": "xRXNhE#LsB", "l": "Ii!1ET|)}f", "m": "HNU%RODVK@", "n": "houbpHdqea", "o": "QDnubedGpq",
    "p": "oFnbuBgEeh", "q": "OgoGuDdnUa", "r": "B8KH9PthN0", "s": "58B$a693eE", "t": "Ifl1(!ri|)",
    "u": "oDnqdOHabp", "v": "y#Ye9uxksa", "w": "au=%NeAno<", "x": "kzKsYN#aZR", "y": "vVXTf?7t\\i",
    "z": "2xa?e7X3rs",
}  # fmt: skip
# zxcvbn's table of substitutions.
_SUBSTITUTES = {
    "a": "4@", "b": "8", "c": "({[<", "e": "3", "g": "69",
    "i": "1!|", "l": "1|7", "o": "0", "s": "$5", "t": "+7", "x": "%", "z": "2"
}  # fmt: skip
_VOWEL_LETTERS = "aeiouy"
SIZE = 256
"""Codes: a letter in lower case and any other ASCII sign is itself; a capital where none belongs
is 128 more than its small letter; 0 is whatever is not ASCII."""
BAND = 3
"""Most letters by which the two words may be shifted against each other."""


def encode(word: str) -> list[int]:
    """The codes of a word as it was written.

    A capital is odd where a small letter stands in the same word, unless it is the first sign:
    "dOg" has one, "Dog" and "DOG" have none.
    """
    mixed = any(c.islower() for c in word)
    codes = []
    for place, sign in enumerate(word):
        code = ord(sign.lower()[0])
        odd = mixed and place > 0 and sign.isupper()
        codes.append(0 if code >= 128 else code + 128 * odd)
    return codes


def is_trace(code: int) -> bool:
    """Whether a sign tells by itself that something happened there: no small letter of a word."""
    return not (97 <= code <= 122 or code == 39)


WRITERS = ("person", "hand", "machine", "takes", "puts_in", "leaves_out", "exchanges")


class Tables(NamedTuple):
    """Log probabilities of each edit for W writers, given an error at a letter.

    Attributes:
        taken: [SIZE, SIZE, W] (written, letter): the letter is written as another sign; 0 for
            the same one.
        put_in: [SIZE, SIZE, W] (written, sign before it): a sign is written that stands for none.
        left_out: [SIZE, SIZE, W] (letter, letter before it): a letter is not written.
        exchanged: [W] a letter and the one before it are written in the other order.
    """

    taken: NDArray[np.float32]
    put_in: NDArray[np.float32]
    left_out: NDArray[np.float32]
    exchanged: NDArray[np.float32]


@cache
def tables() -> Tables:
    """The tables of the `WRITERS`."""
    count = len(WRITERS)
    taken, put_in, left_out = (np.zeros((count, SIZE, SIZE)) for _ in range(3))
    exchanged = np.zeros(count)
    keys = _keys()
    beside = {a: [b for b in keys if b != a and _touch(a, b)] for a in keys}
    letters = "abcdefghijklmnopqrstuvwxyz"
    noise = _noise()
    person, hand, machine, takes, puts_in, leaves_out, exchanges = range(count)
    taken[takes] = noise[:, None]
    put_in[puts_in] = noise[:, None]
    left_out[leaves_out] = 1
    exchanged[exchanges] = 1
    left_out[person] = _LEFT_OUT
    exchanged[person] = _EXCHANGED
    for letter in letters:
        at, touching = ord(letter), [key for key in beside[letter] if key.isalpha()]
        others = [c for c in letters if c != letter]
        if letter in _VOWEL_LETTERS:
            vowels = [c for c in _VOWEL_LETTERS if c != letter]
            _spread(taken[person, :, at], _TAKEN * _VOWELS_TOO, vowels)
            _spread(taken[person, :, at], _TAKEN * (1 - _VOWELS_TOO), others)
        else:
            _spread(taken[person, :, at], _TAKEN * _BESIDE, touching)
            _spread(taken[person, :, at], _TAKEN * (1 - _BESIDE), others)
        _spread(put_in[person, :, at], _PUT_IN * _BESIDE_IN, touching)
        _spread(put_in[person, :, at], _PUT_IN * (1 - _DOUBLED_IN - _BESIDE_IN), list(letters))
        put_in[person, at, at] += _PUT_IN * _DOUBLED_IN
        left_out[person, at, at] *= _DOUBLED_OUT / _DOUBLES_IN_WORDS
        _spread(taken[hand, :, at], 1.0, beside[letter])
        _read(taken[machine, :, at], letter)
    log = []
    for table in (taken, put_in, left_out, exchanged):
        mixed = (1 - _OTHERS) * table + _OTHERS * table.mean(axis=0)
        log.append(np.moveaxis(np.log(np.maximum(mixed, 1e-7)), 0, -1).astype(np.float32))
    same = np.arange(SIZE)
    log[0][same, same] = 0
    return Tables(*log)


def _noise() -> NDArray[np.float64]:
    """Any printable sign; a capital counts as one of its own."""
    share = np.zeros(SIZE)
    share[33:127] = 1 / _PRINTABLE
    share[65:91] = 0  # capitals are coded as 128 + small letter
    share[128 + 97 : 128 + 123] = 1 / _PRINTABLE
    share[0] = 1 / _PRINTABLE
    return share


def _spread(shares: NDArray[np.float64], amount: float, signs: list[str]) -> None:
    for sign in signs:
        shares[ord(sign)] += amount / len(signs)


def _read(shares: NDArray[np.float64], letter: str) -> None:
    """What a machine reads: the r-th likest sign r times as seldom as the first."""
    weights: dict[int, float] = {}
    for signs in (_SHAPES[letter], _SUBSTITUTES.get(letter, "")):
        for rank, sign in enumerate(signs, 1):
            weight = 1 / rank
            if sign.isupper():  # read as a capital, or written down in small
                weight /= 2
                code = ord(sign.lower()) + 128
                weights[code] = weights.get(code, 0.0) + weight
            code = ord(sign.lower())
            weights[code] = weights.get(code, 0.0) + weight
    weights.pop(ord(letter), None)
    total = sum(weights.values())
    for code, weight in weights.items():
        shares[code] += weight / total


def _keys() -> dict[str, tuple[int, float]]:
    return {
        key: (row, indent + column)
        for row, (keys, indent) in enumerate(_ROWS)
        for column, key in enumerate(keys)
    }


def _touch(left: str, right: str) -> bool:
    (row, x), (other_row, other_x) = _keys()[left], _keys()[right]
    return abs(row - other_row) <= 1 and abs(x - other_x) <= _REACH


def edit_log_likelihoods(
    written: NDArray[np.uint8],
    written_lengths: NDArray[np.int64],
    letters: NDArray[np.uint8],
    letter_lengths: NDArray[np.int64],
    per_edit: float = 0.0,
) -> NDArray[np.float32]:
    """The likeliest sequence of edits for each pair and writer (weighted optimal alignment).

    Args:
        written: [N, L] codes of the words as written, padded with 0.
        written_lengths: [N].
        letters: [N, M] codes of the words that may have been meant, padded with 0.
        letter_lengths: [N].
        per_edit: added for each edit.

    Returns:
        [N, W] log probability of the edits: 0 for equal words, -inf where the words are shifted by
        more than `BAND` against each other. The place of an edit is one of the word's letters:
        log 1/length for each edit.
    """
    t = tables()
    count, width = written.shape
    depth = letters.shape[1]
    place = (per_edit - np.log(np.maximum(letter_lengths, 1))).astype(np.float32)[:, None]
    never = np.float32(-1e9)
    exchange = t.exchanged + place
    none = np.zeros(count, np.uint8)
    left = [
        t.left_out[letters[:, j], letters[:, j - 1] if j else none] + place for j in range(depth)
    ]
    # row[j]: the best for the signs so far and the first j letters.
    before: NDArray[np.float32] | None = None
    row = np.full((depth + 1, count, len(WRITERS)), never, np.float32)
    row[0] = 0
    for j in range(1, min(BAND, depth) + 1):
        row[j] = row[j - 1] + left[j - 1]
    found = np.full((count, len(WRITERS)), -np.inf, np.float32)
    for i in range(1, width + 1):
        sign = written[:, i - 1]
        previous = written[:, i - 2] if i > 1 else none
        extra = t.put_in[sign, previous] + place
        following = np.full_like(row, never)
        if i <= BAND:
            following[0] = row[0] + extra
        for j in range(max(1, i - BAND), min(depth, i + BAND) + 1):
            letter = letters[:, j - 1]
            differs = (sign != letter)[:, None]
            best = row[j - 1] + t.taken[sign, letter] + differs * place
            np.maximum(best, row[j] + extra, out=best)
            np.maximum(best, following[j - 1] + left[j - 1], out=best)
            if before is not None and j > 1:
                swapped = (sign == letters[:, j - 2]) & (previous == letter) & (sign != letter)
                at = np.flatnonzero(swapped)
                if len(at):
                    best[at] = np.maximum(best[at], before[j - 2][at] + exchange[at])
            following[j] = best
        before, row = row, following
        at = np.flatnonzero(written_lengths == i)
        found[at] = row[letter_lengths[at], at]
    found[found < never / 2] = -np.inf
    return found
