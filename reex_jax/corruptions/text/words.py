"""Word corruptions, after EDA (Wei and Zou 2019) and AEDA (Karimi et al. 2021).

A word is what stands between white space. The result is joined by single spaces. A caption of
one word has nothing to swap or to delete and stays as it is, and so does one without a word of
content that WordNet has synonyms for where synonyms are wanted.
"""

import re

import numpy as np

from reex_jax.corruptions.text.choice import choose, pick, pick_one, share_of
from reex_jax.corruptions.text.function_words import FUNCTION_WORDS
from reex_jax.corruptions.text.synonyms import synonyms

PUNCTUATION = ".,!?;:"
"""AEDA's marks."""


_PARTS = re.compile(r"(\W*)(.*?)(\W*)", re.DOTALL)
"""Signs before a word, the word, signs after it."""


def synonym_replacement(caption: str, severity: int, rng: np.random.Generator) -> str:
    """Puts a random synonym in the place of random words of content; signs around them stay.

    EDA counts its share in all words, about twice as many as there are words with synonyms.
    """
    words = caption.split()
    sources = _sources(words, severity, rng)
    if not sources:
        return caption
    for place in sources:
        before, word, after = parts_of(words[place])
        words[place] = before + in_case_of(word, pick_one(_synonyms_of(word), rng)) + after
    return " ".join(words)


def word_insertion(caption: str, severity: int, rng: np.random.Generator) -> str:
    """Puts synonyms of random words of content at random places."""
    words = caption.split()
    sources = _sources(words, severity, rng)
    if not sources:
        return caption
    new = [pick_one(_synonyms_of(parts_of(words[place])[1]), rng) for place in sources]
    for word in new:
        words.insert(int(rng.random() * (len(words) + 1)), word)
    return " ".join(words)


def _sources(words: list[str], severity: int, rng: np.random.Generator) -> list[int]:
    """Random places of words that have synonyms; none if no word has any."""
    places = [place for place, word in enumerate(words) if _synonyms_of(parts_of(word)[1])]
    if not places:
        return []
    chosen = choose(len(places), share_of(len(places), severity, rng), rng)
    return [places[index] for index in chosen]


def parts_of(word: str) -> tuple[str, str, str]:
    """The signs before a word, the word, and the signs after it; together the whole."""
    match = _PARTS.fullmatch(word)
    assert match  # the expression fits any text
    return match[1], match[2], match[3]


def _synonyms_of(word: str) -> tuple[str, ...]:
    lower = word.lower()
    return synonyms(lower) if is_content(lower) else ()


def is_content(word: str) -> bool:
    """Whether a word in lower case is none of grammar alone, such as "the" or "with"."""
    return word not in FUNCTION_WORDS


def in_case_of(word: str, synonym: str) -> str:
    """The synonym in capitals where the word is, or with a capital first letter."""
    if len(word) > 1 and word.isupper():
        return synonym.upper()
    return synonym[0].upper() + synonym[1:] if word[0].isupper() else synonym


def word_swap(caption: str, severity: int, rng: np.random.Generator) -> str:
    """Exchanges random words in pairs; a word moves at most once.

    Each pair touches two words, so severity s makes s / 20 times as many pairs as words (EDA's
    alpha is that number).
    """
    words = caption.split()
    if len(words) < 2:
        return caption
    pairs = min(share_of(len(words), severity / 2, rng), len(words) // 2)
    chosen = choose(len(words), 2 * pairs, rng)
    for left, right in zip(chosen[::2], chosen[1::2], strict=True):
        words[left], words[right] = words[right], words[left]
    return " ".join(words)


def word_deletion(caption: str, severity: int, rng: np.random.Generator) -> str:
    """Leaves random words out, never all of them."""
    words = caption.split()
    if len(words) < 2:
        return caption
    gone = set(choose(len(words), share_of(len(words), severity, rng), rng))
    return " ".join(word for place, word in enumerate(words) if place not in gone)


def punctuation_insertion(caption: str, severity: int, rng: np.random.Generator) -> str:
    """Puts a random mark, as a word of its own, before random words."""
    words = caption.split()
    for place in choose(len(words), share_of(len(words), severity, rng), rng):
        words[place] = f"{pick(PUNCTUATION, rng)} {words[place]}"
    return " ".join(words)
