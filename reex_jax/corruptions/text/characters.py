"""Character corruptions: typing and reading errors inside of words.

A word is a run of letters, digits and underscores of any script. As in nlpaug, with which
MM_Robustness made its captions, only words of at least four characters are touched, and in a
touched word three tenths of the characters (rounded down, at least one): so severity 5 leaves
half of the longer words and all the short ones alone, and the rest can be guessed. A caption
without such a word is touched in its longest words. A word in which a kind finds nothing to do
(one character to delete, two equal ones to swap, no known key, no look-alike) stays as it is.

Where we differ from nlpaug 1.1.11: it rounds the three tenths up, so it edits about 1.6 times as
many characters of a caption (with `swap` about as many); and for `ocr` it edits at least two
characters, in words of any length, but draws words without look-alikes in vain.
docs/text_corruptions.md has the measured shares of both.
"""

import re
import string
from collections.abc import Callable, Sequence

import numpy as np

from reex_jax.corruptions.text.choice import choose, pick, share_of
from reex_jax.corruptions.text.keyboard import KEY_NEIGHBOURS
from reex_jax.corruptions.text.ocr import OCR_CONFUSIONS

RANDOM_CHARACTERS = string.ascii_letters + string.digits + "!@#$%^&*()_+"
"""What `insert` and `replace` draw from: nlpaug's default."""

_WORD = re.compile(r"\w+")
_MIN_WORD = 4

# (the word's characters, places it may touch in random order, how many to touch, rng): in place.
Word = list[str]
Places = Sequence[int]
Edit = Callable[[Word, Places, int, np.random.Generator], None]


def ocr(caption: str, severity: int, rng: np.random.Generator) -> str:
    """Replaces characters by ones that look alike; most letters are like no other and stay."""

    def edit(word: Word, places: Places, count: int, rng: np.random.Generator) -> None:
        for place in places[:count]:
            word[place] = pick(OCR_CONFUSIONS[word[place]], rng)

    def may_confuse(word: str) -> list[int]:
        return [place for place, character in enumerate(word) if character in OCR_CONFUSIONS]

    return edit_words(caption, severity, rng, may_confuse, edit)


def keyboard(caption: str, severity: int, rng: np.random.Generator) -> str:
    """Replaces characters by a neighbour on a QWERTY keyboard; others than a-z, 0-9 stay."""

    def edit(word: Word, places: Places, count: int, rng: np.random.Generator) -> None:
        for place in places[:count]:
            word[place] = pick(KEY_NEIGHBOURS[word[place]], rng)

    def may_slip(word: str) -> list[int]:
        return [place for place, key in enumerate(word) if key in KEY_NEIGHBOURS]

    return edit_words(caption, severity, rng, may_slip, edit)


def insert(caption: str, severity: int, rng: np.random.Generator) -> str:
    """Puts random characters before characters of a word."""

    def edit(word: Word, places: Places, count: int, rng: np.random.Generator) -> None:
        for place in places[:count]:
            word[place] = pick(RANDOM_CHARACTERS, rng) + word[place]

    return edit_words(caption, severity, rng, _anywhere, edit)


def replace(caption: str, severity: int, rng: np.random.Generator) -> str:
    """Replaces characters by random others."""

    def edit(word: Word, places: Places, count: int, rng: np.random.Generator) -> None:
        for place in places[:count]:
            word[place] = pick(RANDOM_CHARACTERS.replace(word[place], ""), rng)

    return edit_words(caption, severity, rng, _anywhere, edit)


def swap(caption: str, severity: int, rng: np.random.Generator) -> str:
    """Exchanges characters with their right neighbour, each character at most once."""

    def edit(word: Word, places: Places, count: int, rng: np.random.Generator) -> None:
        moved: set[int] = set()
        for place in places:
            if len(moved) < 2 * count and moved.isdisjoint((place, place + 1)):
                moved.update((place, place + 1))
                word[place], word[place + 1] = word[place + 1], word[place]

    def may_swap(word: str) -> list[int]:
        return [place for place in range(len(word) - 1) if word[place] != word[place + 1]]

    return edit_words(caption, severity, rng, may_swap, edit)


def delete(caption: str, severity: int, rng: np.random.Generator) -> str:
    """Leaves characters out; every word keeps at least one."""

    def edit(word: Word, places: Places, count: int, rng: np.random.Generator) -> None:
        for place in places[:count]:
            word[place] = ""

    def may_delete(word: str) -> list[int]:
        return _anywhere(word) if len(word) > 1 else []

    return edit_words(caption, severity, rng, may_delete, edit)


def _anywhere(word: str) -> list[int]:
    return list(range(len(word)))


def edit_words(
    caption: str,
    severity: int,
    rng: np.random.Generator,
    may_touch: Callable[[str], list[int]],
    edit: Edit,
) -> str:
    """Chooses words, and in each the order of places, and has `edit` change the word.

    Args:
        caption: the text.
        severity: tenths of the words that may be touched.
        rng: the item's generator.
        may_touch: the places of a word that the kind may touch; none: the word stays.
        edit: changes a word at its places.
    """
    found = [(match, may_touch(match.group())) for match in _WORD.finditer(caption)]
    found = [(match, places) for match, places in found if places]
    if not found:
        return caption
    shortest = min(_MIN_WORD, max(len(match.group()) for match, _ in found))
    found = [item for item in found if len(item[0].group()) >= shortest]
    count = share_of(len(found), severity, rng)
    pieces, end = [], 0
    for index in sorted(choose(len(found), count, rng)):
        match, places = found[index]
        word = list(match.group())
        order = choose(len(places), len(places), rng)
        edit(word, [places[chosen] for chosen in order], max(3 * len(word) // 10, 1), rng)
        pieces += [caption[end : match.start()], *word]
        end = match.end()
    return "".join([*pieces, caption[end:]])
