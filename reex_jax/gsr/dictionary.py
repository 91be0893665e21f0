"""English words and word pairs with their counts: symspellpy's lists, and captions of one's own.

Known words alone load in a moment; the index that finds similar words takes two seconds and
150 MB, so it is made on first use.
"""

import hashlib
import importlib.resources
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from symspellpy import SymSpell, Verbosity

from reex_jax.errors import UserError
from reex_jax.gsr.words import split_pieces

_WORDS, _PAIRS = "frequency_dictionary_en_82_765.txt", "frequency_bigramdictionary_en_243_342.txt"
MAX_EDITS = 2
_PLURAL = re.compile(r"^\w{2,}[^\Waeiousz]s$")
# What British endings become (Webster's reform), as (replacement, pattern).
_AMERICAN = tuple(
    (american, re.compile(pattern))
    for pattern, american in (
        (r"(?<=[lbvmnpei]o)(?<!flo)ur(?=$|s$|ed$|ing$|ful$|able$|ite$|ites$|less$|hood)", "r"),
        (r"^(\w*[aeiou]\w*[^\Waeiou]el)l(?=ed$|ing$|ers?$)", r"\1"),
        (r"(?<=[bt])re(?=s?$)", "er"),
        (r"eque(?=r)", "ecke"),
        (r"^aero(?=plane)", "air"),
        (r"(?<=jewel)le(?=ry)", ""),
        (r"(?<=p)y(?=jamas?$)", "a"),
        (r"is(?=(?:e[ds]?|ing|ation)$)", "iz"),
        (r"(?<=gr)ey", "ay"),
    )
)
_UNSEEN = 1.0  # the count of a word that the list lacks
# A word of the user's own captions counts as one of these many, in a list of 10^12 words: as if
# a thirtieth of all text were such captions.
_OWN_SHARE = 1 / 30
_PAIR_SHARE = 0.7  # weight of the pair's probability; the rest is the word's own


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Words and pairs of words with their counts.

    Attributes:
        counts: word in lower case -> how often it occurs.
        pairs: "first second" -> how often they follow each other.
        digest: of all counts; equal digests repair alike.
    """

    counts: Mapping[str, float] = field(repr=False)
    pairs: Mapping[str, float] = field(repr=False)
    digest: str

    def share(self, word: str) -> float:
        """Of all words that were counted; 0 for one that the list lacks."""
        return self.counts.get(word, 0.0) / self._total

    @cached_property
    def _total(self) -> float:
        return sum(self.counts.values())

    @cached_property
    def _firsts(self) -> Mapping[str, float]:
        """How often a word stands first in any pair."""
        firsts: dict[str, float] = {}
        for pair, count in self.pairs.items():
            first = pair.partition(" ")[0]
            firsts[first] = firsts.get(first, 0.0) + count
        # The list holds frequent pairs only, so a word occurs more often than its pairs say; and
        # the two lists were counted in texts of different size.
        return {word: max(count, self.counts.get(word, 0.0)) for word, count in firsts.items()}

    @cached_property
    def _rarest_pair(self) -> float:
        return min(self.pairs.values())

    @cached_property
    def _index(self) -> SymSpell:
        index = SymSpell(max_dictionary_edit_distance=MAX_EDITS, prefix_length=7)
        for word, count in self.counts.items():
            index.create_dictionary_entry(word, max(1, round(count)))
        return index

    def similar(self, word: str) -> list[tuple[str, int]]:
        """The nearest words and their distance (Damerau's, optimal alignment), at most 2 edits."""
        found = self._index.lookup(word, Verbosity.CLOSEST, max_edit_distance=MAX_EDITS)
        return [(item.term, item.distance) for item in found]

    def log_probability(self, word: str, previous: str) -> float:
        """Log probability of a word after another ("" at the start): Jelinek-Mercer smoothing.

        The list holds frequent pairs only: a pair that it lacks is rarer than all that it has, and
        is given no more than the rarest one's probability.
        """
        alone = self.counts.get(word, _UNSEEN) / self._total
        first = self._firsts.get(previous, 0.0)
        if not first:
            return math.log(alone)
        pair = self.pairs.get(f"{previous} {word}", 0.0)
        if pair:
            return math.log(_PAIR_SHARE * pair / first + (1 - _PAIR_SHARE) * alone)
        return math.log(min((1 - _PAIR_SHARE) * alone, self._rarest_pair / first))


def known_words() -> frozenset[str]:
    """The words of symspellpy's English list, in lower case; takes a fifth of a second."""
    return frozenset(_english_words())


def load_dictionary(captions: str = "") -> Dictionary:
    """Symspellpy's lists (MIT; from Google Books and SCOWL), with captions of one's own counted in.

    Args:
        captions: a text file with one caption a line, whose words and pairs become known and
            likely; "" for none. Never give it the queries' own undamaged captions.

    Raises:
        UserError: the file cannot be read, or holds no word.
    """
    counts, pairs = _english_words(), _read_counts(_PAIRS, 2)
    if captions:
        own_words, own_pairs = count_captions(read_captions(captions))
        if not own_words:
            raise UserError(f"{captions}: holds no word; write one caption a line")
        scale = _OWN_SHARE * sum(counts.values()) / sum(own_words.values())
        _add(counts, own_words, scale)
        _add(pairs, own_pairs, scale)
    digest = hashlib.sha256()
    for part in (counts, pairs):
        digest.update("".join(f"{key} {count:.0f}\n" for key, count in part.items()).encode())
    return Dictionary(counts, pairs, digest.hexdigest()[:12])


def read_captions(file: str) -> list[str]:
    """The lines of a text file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return Path(file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"gsr.captions names {file!r}, which cannot be read as UTF-8 text ({error})"
        ) from error


def count_captions(captions: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """How often words, and pairs of neighbouring words ("first second"), occur in captions."""
    words: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    for caption in captions:
        found = [piece.word for piece in split_pieces(caption, ()) if piece.word]
        words.update(found)
        pairs.update(map(" ".join, itertools.pairwise(found)))
    return words, pairs


def _add(counts: dict[str, float], own: Counter[str], scale: float) -> None:
    for key, count in own.items():
        counts[key] = counts.get(key, 0.0) + scale * count


def _english_words() -> dict[str, float]:
    """Symspellpy's list, and forms that it lacks though it has their sisters.

    It is British ("colour", "chequered") and has some nouns only in the plural ("donuts").
    """
    counts = _read_counts(_WORDS, 1)
    for word, count in list(counts.items()):
        american = word
        for ending, pattern in _AMERICAN:
            american = pattern.sub(ending, american)
        counts.setdefault(american, count)
        if _PLURAL.search(word):
            counts.setdefault(word[:-1], count)
    return counts


def _read_counts(name: str, keys: int) -> dict[str, float]:
    """A list of symspellpy: a word or a pair, and its count, on each line."""
    lines = importlib.resources.files("symspellpy").joinpath(name).read_text("utf-8-sig")
    counts = {}
    for line in lines.splitlines():
        *words, count = line.split(" ")
        if len(words) == keys:
            counts[" ".join(words)] = float(count)
    return counts
