"""The embedded rewriter: repairs spelling with word lists, without model and network.

A noisy channel (Kernighan, Church and Gale 1990): symspellpy finds the dictionary words nearest
to each unknown word, and the pair counts of the whole sentence choose among them. Known words are
never touched, nor are signs and abbreviations.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from reex_jax.gsr.channel.load import web_shares
from reex_jax.gsr.channel.sound_words import parts_of, sound_pieces
from reex_jax.gsr.dictionary import Dictionary
from reex_jax.gsr.lattice import Candidates, best_path
from reex_jax.gsr.repair import Repair, accepted
from reex_jax.gsr.words import Piece

_VERSION = 3
_PER_EDIT = -3.0  # log likelihood of one edit
_MOST = 12  # candidates for a word
_MOST_FOUND = 50_000  # words whose candidates are kept: a service runs for months
_RARER = 1 / 100  # than a repair, for each edit after the first
_SHORT = 4  # letters of words with many neighbours
_SHORTEST = 2  # letters left of a word without its odd signs
# Letters that scanned text, or a hurried writer, has as digits or signs.
_LOOK_ALIKES = tuple(
    str.maketrans("0123456789@$|", letters) for letters in ("olzeasbtsgasl", "oizeasbtbgasi")
)


@dataclass(frozen=True, eq=False)
class SymSpellRewriter:
    """Repairs unknown words by the dictionary.

    Attributes:
        dictionary: its words, pairs and index.
    """

    dictionary: Dictionary
    _found: dict[str, Candidates] = field(default_factory=dict, repr=False)

    @property
    def identity(self) -> str:
        """Version of this rule, and digest of the dictionary."""
        return f"symspell/{_VERSION} dictionary={self.dictionary.digest}"

    def rewrite(self, texts: Sequence[str]) -> Iterator[Repair]:
        """One repair for each text, in order."""
        return map(self.repair, texts)

    def repair(self, text: str) -> Repair:
        """Repairs one text; its confidence is that of `confidence_of`."""
        pieces = sound_pieces(text, self.dictionary.counts, self._may_be_sound)
        if all(piece.known for piece in pieces):
            return accepted(text, text, 1.0)
        worded = [piece for piece in pieces if piece.word]
        columns = [self._candidates(piece) for piece in worded]
        chosen, posteriors = best_path(columns, self.dictionary.log_probability)
        words = {
            piece.start: column[at][0]
            for piece, column, at in zip(worded, columns, chosen, strict=True)
        }
        doubts = [p for p, piece in zip(posteriors, worded, strict=True) if not piece.known]
        return accepted(text, _replaced(text, pieces, words), confidence_of(doubts))

    def _may_be_sound(self, word: str) -> bool:
        """Whether a word that the list lacks is a form or a compound of known ones, or at home on
        the web and hardly rarer than its likeliest repair."""
        if not word.isalpha():
            return False
        if parts_of(word, self.dictionary.counts):
            return True
        own = web_shares().get(word)
        if own is None:
            return False
        shares = [
            self.dictionary.share(term) * _RARER ** (fit / _PER_EDIT - 1)
            for term, fit in find_candidates(word, self.dictionary)
            if term != word
        ]
        best = max(shares, default=0.0)
        return own / (_RARER if len(word) <= _SHORT else 1.0) > best

    def _candidates(self, piece: Piece) -> Candidates:
        if piece.known:
            return ((piece.word, 0.0),)
        if piece.word not in self._found:
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            self._found[piece.word] = find_candidates(piece.word, self.dictionary)
        return self._found[piece.word]


def confidence_of(posteriors: Sequence[float]) -> float:
    """Generation confidence: the geometric mean of the unknown words' posteriors, 1 for none."""
    if not posteriors:
        return 1.0
    return math.exp(sum(math.log(max(p, 1e-9)) for p in posteriors) / len(posteriors))


def find_candidates(word: str, dictionary: Dictionary) -> Candidates:
    """Dictionary words that an unknown word may stand for; itself where there is none.

    A word with digits or signs in it is also looked up without these, as if they had slipped in,
    and with the letters that they look like, which counts as half an edit each.
    """
    costs: dict[str, float] = {}

    def look_up(variant: str, changes: float) -> None:
        for term, distance in dictionary.similar(variant):
            costs[term] = min(costs.get(term, math.inf), changes + distance)

    look_up(word, 0)
    odd = sum(not c.isalpha() for c in word)
    if odd:
        letters = "".join(filter(str.isalpha, word))
        if len(letters) >= _SHORTEST:
            look_up(letters, odd)
        for table in _LOOK_ALIKES:
            variant = word.translate(table)
            if variant != word:
                look_up(variant, sum(a != b for a, b in zip(word, variant, strict=True)) / 2)
    if not costs:
        return ((word, 0.0),)
    least = min(costs.values())
    nearest = [term for term, cost in costs.items() if cost == least]
    nearest.sort(key=dictionary.counts.__getitem__, reverse=True)
    return tuple((term, _PER_EDIT * least) for term in nearest[:_MOST])


def _replaced(text: str, pieces: Sequence[Piece], words: dict[int, str]) -> str:
    """The text with its unknown words replaced and marks that stand alone left out."""
    parts, end = [], 0
    for piece in pieces:
        if piece.known:
            continue
        before = text[end : piece.start]
        word = words.get(piece.start, "")
        if not word:
            before = before.rstrip()
        elif piece.start == 0 and text[0].isupper():
            word = word.capitalize()
        parts += [before, word]
        end = piece.end
    return "".join([*parts, text[end:]]).strip() or text
