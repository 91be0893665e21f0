"""Two text corruptions of our own, for tuning only.

They resemble noise that people make, and no benchmark has them: settings are chosen on these, and
the kinds of the benchmark stay unseen until they are measured. One is of characters and leaves
unknown words, the other is of words and leaves known ones, as the benchmark's kinds do.
"""

import importlib.resources
import string
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache

import numpy as np

from reex_jax.corruptions.text.characters import Places, Word, edit_words
from reex_jax.corruptions.text.choice import choose, pick_one, share_of
from reex_jax.corruptions.text.words import in_case_of, is_content, parts_of

_COMMON = 30000
"""How many of the dictionary's words, the most frequent ones, a slip may end in."""
_CANDIDATES = 5


def vowel_drop(caption: str, severity: int, rng: np.random.Generator) -> str:
    """Writes words as short messages do, without a, e, i, o, u: "small" becomes "smll".

    A vowel that begins a word stays. As for all character kinds, severity s touches s / 10 of the
    words of four or more characters (here: of those with a vowel to drop).
    """

    def edit(word: Word, places: Places, count: int, rng: np.random.Generator) -> None:
        for place in places:
            word[place] = ""

    def may_drop(word: str) -> list[int]:
        return [place for place, letter in enumerate(word) if place and letter in "aeiouAEIOU"]

    return edit_words(caption, severity, rng, may_drop, edit)


def wrong_autocorrection(caption: str, severity: int, rng: np.random.Generator) -> str:
    """Replaces words by other known words one edit away, as phones do: "star" becomes "start".

    Severity s touches s / 10 of the words of content that have such neighbours; a caption without
    any stays as it is.
    """
    words = caption.split()
    places = [place for place, word in enumerate(words) if _slips(word)]
    if not places:
        return caption
    for index in choose(len(places), share_of(len(places), severity, rng), rng):
        before, word, after = parts_of(words[places[index]])
        slip = pick_one(_slips(words[places[index]]), rng)
        words[places[index]] = before + in_case_of(word, slip) + after
    return " ".join(words)


def _slips(word: str) -> tuple[str, ...]:
    core = parts_of(word)[1].lower()
    return neighbours(core) if len(core) > 2 and is_content(core) else ()


@lru_cache(maxsize=65536)
def neighbours(word: str) -> tuple[str, ...]:
    """The most frequent English words one edit away, at most five, the most frequent first.

    Args:
        word: in lower case. An edit adds, drops or changes a letter, or swaps two.
    """
    ranks = _ranks()
    known = {edited for edited in _edits(word) if len(edited) > 2 and edited in ranks} - {word}
    return tuple(sorted(known, key=ranks.__getitem__)[:_CANDIDATES])


def _edits(word: str) -> Iterator[str]:
    for place in range(len(word) + 1):
        left, right = word[:place], word[place:]
        yield left + right[1:]
        yield left + right[1:2] + right[:1] + right[2:]
        for letter in string.ascii_lowercase:
            yield left + letter + right
            yield left + letter + right[1:]


@cache
def _ranks() -> Mapping[str, int]:
    """Common English words by falling frequency, from symspellpy's dictionary (MIT)."""
    source = importlib.resources.files("symspellpy") / "frequency_dictionary_en_82_765.txt"
    lines = source.read_text("utf-8-sig").splitlines()[:_COMMON]
    return {line.split(" ")[0]: rank for rank, line in enumerate(lines)}
