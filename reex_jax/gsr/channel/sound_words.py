"""What of a text is left alone, and how a repair keeps the form of what it replaces."""

import re
from collections.abc import Container

from reex_jax.gsr.words import Piece

_ABBREVIATION = re.compile(r"[A-Z]{1,3}(?:[&./+][A-Z]{1,3})+\.?|[a-z](?:[./][a-z])*[./]?|w/o")
_ENDINGS = ("s", "es", "ed", "d", "er", "r", "ers", "rs", "ing", "ly", "y")
_PART = 4  # letters of the parts of a compound
_SUFFIX = re.compile(r"(?:['\u2019](?:s|re|ve|ll|d|m))$")


def stem_of(raw: str) -> tuple[str, str]:
    """A word without its possessive or contracted ending, and that ending."""
    match = _SUFFIX.search(raw)
    return (raw[: match.start()], match.group()) if match else (raw, "")


def left_alone(text: str, piece: Piece) -> Piece:
    """Pieces without letters and abbreviations count as known."""
    if piece.known or not piece.word:
        return piece
    raw = text[piece.start : piece.end]
    rest = raw + text[piece.end : piece.end + 1].strip()
    short = raw.isalpha() and raw.isupper() and 2 <= len(raw) <= 5 and not text.isupper()
    abbreviated = _ABBREVIATION.fullmatch(raw) or _ABBREVIATION.fullmatch(rest)
    if short or abbreviated or not any(map(str.isalpha, raw)):
        return Piece(piece.start, piece.end, piece.word, True)
    return piece


def in_case_of(raw: str, word: str) -> str:
    """A word in lower case as its place asks: with a capital where the written one is "Xxx"."""
    return word.capitalize() if raw[:1].isupper() and raw[1:] == raw[1:].lower() else word


def parts_of(word: str, known: Container[str]) -> list[tuple[str, ...]]:
    """The known words that an unknown one may be made of: a stem and an ending, or a compound.

    >>> parts_of("rollerblader", {"rollerblade", "roller"})
    [('rollerblade',)]
    >>> parts_of("wakeboard", {"wake", "board"})
    [('wake', 'board')]
    """
    found: list[tuple[str, ...]] = []
    for ending in _ENDINGS:
        stem = word.removesuffix(ending)
        if len(stem) > _PART and stem != word:
            # The e of "skate" is lost in "skating".
            found += [(form,) for form in (stem, stem + "e") if form in known and form != word]
    for cut in range(_PART, len(word) - _PART + 1):
        if word[:cut] in known and word[cut:] in known:
            found.append((word[:cut], word[cut:]))
    return list(dict.fromkeys(found))
