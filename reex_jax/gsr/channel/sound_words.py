"""What of a text is left alone, and how a repair keeps the form of what it replaces."""

import re
from collections.abc import Callable, Container

from reex_jax.gsr.words import Piece, split_pieces

_ABBREVIATION = re.compile(
    r"[A-Z]{1,3}(?:[&./+][A-Z]{1,3})+s?\.?|[a-z](?:[&./][a-z])*[./]?|w/o"
    r"|[A-Z](?:\+\+|#)|[A-Z]{2,4}s|[OD]['\u2019][A-Z][a-z]+|[A-Za-z]{1,2}\d"
)
_UNIT_NAMES = (
    "k d l m g p c f mm cm km ml kg mg lb lbs oz ft yd mi mph kph hp px gb mb am pm hr hrs min sec "
    "in st nd rd th s x"
)
_UNITS = frozenset(_UNIT_NAMES.split())
# What people write short, and word lists lack.
_SHORT_NAMES = "mr mrs ms dr st vs etc no ok tv fi wi yo ave dept approx"
_SHORT = _UNITS.union(_SHORT_NAMES.split())
_MEASURE = re.compile(r"[$\u20ac\u00a3]?\d+(?:[.,x\u00d7:]\d+)*\u00b0?([a-z]*)")
# Handles and tags, powers, names of programs; and addresses. Noise makes the like, so they stay
# only where nothing else of the text is damaged.
_SIGNED = re.compile(
    r"[@#]\w{2,}|\w+(?:[_^]\w+)+|https?://\S+|www\.\S+|[\w.+]+@\w+(?:\.\w+)+"
    r"|\w+(?:\.\w+)*\.(?:com|org|net|edu|gov|jpe?g|png|pdf)(?:/\S*)?",
    re.IGNORECASE,
)
_CLAUSES = frozenset(";:")  # between two halves of a sentence
_LETTERS = 3  # of one of the words that a sign joins
_ENDINGS = ("s", "es", "ed", "d", "er", "r", "ers", "rs", "ing", "ly", "y")
_PART = 4  # letters of the parts of a compound
_SUFFIX = re.compile(r"(?:['\u2019](?:s|re|ve|ll|d|m))$")


def stem_of(raw: str) -> tuple[str, str]:
    """A word without its possessive or contracted ending, and that ending."""
    match = _SUFFIX.search(raw)
    return (raw[: match.start()], match.group()) if match else (raw, "")


def sound_pieces(
    text: str, known: Container[str], may_be_sound: Callable[[str], bool] = lambda word: False
) -> list[Piece]:
    """The pieces of a text, with all that is left alone counted as known.

    Words with the signs of handles, tags, powers or addresses, and one semicolon between clauses,
    are left alone where nothing else is in doubt.

    Args:
        text: any text.
        known: words in lower case.
        may_be_sound: which unknown words, in lower case, are left alone too where nothing else is
            in doubt.
    """
    pieces = [left_alone(text, piece, known) for piece in split_pieces(text, known)]
    doubtful = [piece for piece in pieces if not piece.known]
    marks = [text[piece.start : piece.end] for piece in doubtful if not piece.word]
    if len(marks) > 1 or not all(mark in _CLAUSES for mark in marks):
        return pieces
    for piece in doubtful:
        if piece.word and not (
            _SIGNED.fullmatch(text[piece.start : piece.end]) or may_be_sound(piece.word)
        ):
            return pieces
    return [Piece(piece.start, piece.end, piece.word, True) for piece in pieces]


def left_alone(text: str, piece: Piece, known: Container[str]) -> Piece:
    """Pieces without letters, abbreviations, measures and words joined by a stroke are known."""
    if piece.known or not piece.word:
        return piece
    raw = text[piece.start : piece.end]
    rest = raw + text[piece.end : piece.end + 1].strip()
    capitals = raw.isalpha() and raw.isupper() and 2 <= len(raw) <= 5 and not text.isupper()
    stem, _ = stem_of(raw)
    if (
        capitals
        or any(_ABBREVIATION.fullmatch(form) for form in (raw, rest, stem))
        or stem.lower() in _SHORT
        or not any(map(str.isalpha, stem))
        or _joined(stem.lower(), known)
    ):
        return Piece(piece.start, piece.end, piece.word, True)
    return piece


def _joined(word: str, known: Container[str]) -> bool:
    """Whether it is a measure, or measures and known words with a stroke between: "and/or"."""
    parts = word.split("/")
    measures = [
        match is not None and (not match[1] or match[1] in _UNITS)
        for match in map(_MEASURE.fullmatch, parts)
    ]
    if all(measures):
        return True
    longest = max(map(len, parts))
    return (
        len(parts) > 1
        and longest >= _LETTERS
        and all(
            measure or (len(part) > 1 and part in known)
            for part, measure in zip(parts, measures, strict=True)
        )
    )


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
