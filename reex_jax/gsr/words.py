"""Where the words of a query are, and which of them a word list knows.

A piece is what stands between white space or hyphens; its word is the piece without the marks
that writing puts around words, in lower case. Noise such as "b0x" or "#box" stays in the word.
"""

import re
import unicodedata
from collections.abc import Container
from dataclasses import dataclass

_PIECE = re.compile(r"[^\s\-]+")
_OPENING = "\"'([{\u201c\u2018"  # the last two are the curly ones
_CLOSING = "\"')]}\u201d\u2019.,!?;:"
_MARKS = frozenset(".!?;:")
_QUOTES = frozenset("\"'\u201d\u2019.!?")
_NUMBER = re.compile(r"[$€£#]?\d[\d.,:/]*(?:%|st|nd|rd|th|s|x|cm|mm|m|km|kg|g|ft|px)?")
_SUFFIX = re.compile(r"(?:n['\u2019]t|['\u2019](?:s|re|ve|ll|d|m))$")
_PREFIX = re.compile(r"^(?:un|non|multi)(?=\w{5})")
# What is left of 's, can't and won't.
_STEMS = ("", "ca", "wo")


@dataclass(frozen=True, slots=True)
class Piece:
    """One word, or a mark that stands alone, and its place in the text.

    Attributes:
        start, end: text[start:end] is the word as written, or the mark.
        word: in lower case; empty for punctuation.
        known: no sign of damage. Numbers, single letters (also the "s" of "man 's") and words in
            another script count as known: an English word list says nothing about them.
    """

    start: int
    end: int
    word: str
    known: bool


def split_pieces(text: str, words: Container[str]) -> list[Piece]:
    """The pieces of a text in order.

    Sentence marks that stand alone inside of a sentence ("a ; dog") are pieces that are not known,
    for nobody writes so; commas and a last " ." are common in captions and are left out.

    Args:
        text: any text.
        words: the known words, in lower case.
    """
    pieces = []
    matches = list(_PIECE.finditer(text))
    for position, match in enumerate(matches):
        piece = match.group()
        word = piece.lstrip(_OPENING)
        start = match.end() - len(word)
        word = word.rstrip(_CLOSING)
        if word:
            lower = word.lower()
            pieces.append(Piece(start, start + len(word), lower, is_known(lower, words)))
        elif _stands_alone(text, matches, position):
            pieces.append(Piece(match.start(), match.end(), "", False))
    return pieces


def is_known(word: str, words: Container[str]) -> bool:
    """Whether a word in lower case is in the list, or the list says nothing about it."""
    if word in words or _NUMBER.fullmatch(word) or (len(word) == 1 and word.isalpha()):
        return True
    stem = _PREFIX.sub("", _SUFFIX.sub("", word))
    if stem in words or stem in _STEMS:
        return True
    if word.isascii():
        return False
    folded = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()
    return folded in words or any(
        c.isalpha() and "LATIN" not in unicodedata.name(c, "") for c in word
    )


def _stands_alone(text: str, matches: list[re.Match[str]], position: int) -> bool:
    """Whether a mark between white space is followed by a word in lower case."""
    match = matches[position]
    later = matches[position + 1 :]
    # A mark before a closing quote alone is a sentence's end.
    if not set(match.group()) <= _MARKS or all(not set(m.group()) - _QUOTES for m in later):
        return False
    if not text[match.end()].isspace():
        return False
    if match.start() == 0:
        return True
    alone = text[match.start() - 1].isspace()
    return alone and not matches[position + 1].group()[0].isupper()
