"""The embedded rewriter: a noisy channel (Kernighan, Church and Gale 1990) over whole sentences."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reex_jax.gsr.channel.candidates import LONGEST, WordIndex, build_index, find_pairs
from reex_jax.gsr.channel.decode import (
    Column,
    best_sentence,
    best_sentences,
    posteriors,
    sentence_steps,
)
from reex_jax.gsr.channel.edit_costs import WRITERS, edit_log_likelihoods, encode, is_trace
from reex_jax.gsr.channel.language import Language
from reex_jax.gsr.channel.lattice import Found, Lattice, Reading
from reex_jax.gsr.channel.sound_words import in_case_of, parts_of, sound_pieces, stem_of
from reex_jax.gsr.repair import Repair, accepted
from reex_jax.gsr.words import Piece

_VERSION = 2
_MOST_FOUND = 200_000  # words whose candidates are kept, about 1 kB each
_BATCH = 512  # texts whose unknown words are looked up together


@dataclass(frozen=True)
class ChannelSettings:
    """Constants of the channel.

    Attributes:
        per_edit: added to the log probability for every edit of a word after the first.
        few_damaged: damaged words that a sentence without any unknown word counts for.
        words_more: words that a sentence is counted longer, so that one unknown word of few is no
            proof of a damaged sentence.
        per_letter: log probability of a letter of a word that no source knows.
        per_odd_sign: the same of a sign that no word has there, such as the 1 of "b1ke".
        derived: added to a known word's log probability for a form or compound of it that no
            source knows.
        real_word: added for taking a known word for another one, which is only done where the
            sentence has unknown words too.
        column: most candidates of a word.
        margin: candidates are left out that are this much less likely than the best one by
            themselves, as log.
    """

    per_edit: float = -1.5
    few_damaged: float = 0.01
    words_more: float = 3.0
    per_letter: float = -1.5
    per_odd_sign: float = -7.0
    derived: float = -4.0
    real_word: float = -1.0
    column: int = 10
    margin: float = 14.0


@dataclass(frozen=True, eq=False)
class ChannelRewriter:
    """Repairs damaged words by what is likely to be written so, and likely beside its neighbours.

    Attributes:
        language: words and pairs.
        digest: of the language's sources.
    """

    language: Language
    digest: str
    settings: ChannelSettings = ChannelSettings()
    _found: dict[str, "Found"] = field(default_factory=dict, repr=False)

    @property
    def identity(self) -> str:
        """Version of this rule, digest of the language, and constants that are not the defaults."""
        other = "" if self.settings == ChannelSettings() else f" {self.settings}"
        return f"channel/{_VERSION} language={self.digest}{other}"

    @cached_property
    def _known(self) -> frozenset[str]:
        words, proposed = self.language.words, self.language.proposed
        return frozenset(word for word, may in zip(words, proposed, strict=True) if may)

    @cached_property
    def _members(self) -> np.ndarray:
        return np.flatnonzero(self.language.proposed)

    @cached_property
    def _index(self) -> WordIndex:
        return build_index(
            [self.language.words[at] for at in self._members],
            self.language.log_prior[self._members],
        )

    def rewrite(self, texts: Sequence[str]) -> Iterator[Repair]:
        """One repair for each text, in order."""
        for start in range(0, len(texts), _BATCH):
            for lattice in self.lattices(texts[start : start + _BATCH]):
                yield self.decode(lattice)

    def decode(self, lattice: Lattice) -> Repair:
        """The likeliest reading, and as confidence the share of words expected to be right."""
        text = lattice.text
        if not any(lattice.doubtful) or not lattice.columns:
            return accepted(text, self.written(lattice, [0] * len(lattice.columns)), 1.0)
        steps = sentence_steps(lattice.columns, self.language.steps)
        chosen = best_sentence(steps)
        shares = [share[at] for share, at in zip(posteriors(steps), chosen, strict=True)]
        words = [share for share, piece in zip(shares, lattice.pieces, strict=True) if piece.word]
        confidence = min(math.fsum(words) / max(len(words), 1), 1.0)
        return accepted(text, self.written(lattice, chosen), confidence)

    def readings(self, texts: Sequence[str], count: int) -> Iterator[list["Reading"]]:
        """The `count` likeliest readings of each text, best first; at least one."""
        for lattice in self.lattices(texts):
            if not any(lattice.doubtful):
                yield [Reading(self.written(lattice, [0] * len(lattice.columns)), 0.0, 0.0)]
                continue
            steps = sentence_steps(lattice.columns, self.language.steps)
            found: dict[str, Reading] = {}
            for total, chosen in best_sentences(steps, count):
                edits = math.fsum(
                    column[at][1] for column, at in zip(lattice.columns, chosen, strict=True)
                )
                written = self.written(lattice, chosen)
                found.setdefault(written, Reading(written, edits, total - edits))
            yield list(found.values())

    def lattices(self, texts: Sequence[str]) -> list[Lattice]:
        """What each word of the texts may stand for."""
        split = [sound_pieces(text, self._known) for text in texts]
        wanted = {
            stem
            for text, pieces in zip(texts, split, strict=True)
            for piece in pieces
            if piece.word and (stem := stem_of(text[piece.start : piece.end])[0])
            and stem not in self._found
            and (not piece.known or not all(other.known for other in pieces))
            and len(stem) <= LONGEST
        }  # fmt: skip
        if wanted:
            if len(self._found) > _MOST_FOUND:  # of this batch, all are looked up anew
                self._found.clear()
                return self.lattices(texts)
            self._look_up(sorted(wanted))
        return [self._lattice(text, pieces) for text, pieces in zip(texts, split, strict=True)]

    def _lattice(self, text: str, pieces: list[Piece]) -> Lattice:
        s = self.settings
        unknown = sum(bool(piece.word) and not piece.known for piece in pieces)
        count = sum(bool(piece.word) for piece in pieces)
        damaged = min((unknown + s.few_damaged) / (count + s.words_more), 0.9)
        log_damaged, log_sound = math.log(damaged), math.log(1 - damaged)
        writer = self._writer(text, pieces)
        columns: list[Column] = []
        forms, doubtful = [], []
        for piece in pieces:
            if not piece.word:
                columns.append([(-1, 0.0)])
                forms.append([""])
                doubtful.append(False)
                continue
            raw = text[piece.start : piece.end]
            stem, suffix = stem_of(raw)
            lower = stem.lower()
            own = self.language.ids.get(lower, -1)
            column = [(own, log_sound + (0.0 if piece.known else self._novel(stem, own)))]
            texts = [raw]
            found = self._found.get(stem)
            looked_at = not piece.known or (unknown and lower.isalpha() and len(lower) > 2)
            if looked_at and found is not None and found.words:
                more = log_damaged + (s.real_word if piece.known else 0.0) - s.per_edit
                fits = np.log(np.exp(found.fits + writer).sum(axis=1) + 1e-30) + more
                scores = fits + self.language.log_prior[found.words]
                least = max(scores.max(), column[0][1] + self.language.priors[own]) - s.margin
                for word, fit, score in zip(
                    found.words, fits.tolist(), scores.tolist(), strict=True
                ):
                    if word != own and score > least:
                        column.append((word, fit))
                        texts.append(in_case_of(stem, self.language.words[word]) + suffix)
            columns.append(column)
            forms.append(texts)
            doubtful.append(not piece.known)
        return Lattice(text, pieces, columns, forms, doubtful)

    def _writer(self, text: str, pieces: list[Piece]) -> NDArray[np.float32]:
        """[W] log probability of each writer, given the unknown words of a text."""
        evidence = np.zeros(len(WRITERS), np.float32)
        for piece in pieces:
            if piece.word and not piece.known:
                found = self._found.get(stem_of(text[piece.start : piece.end])[0])
                if found is not None and found.words:
                    evidence += found.evidence
        evidence -= evidence.max()
        return evidence - np.log(np.exp(evidence).sum())

    def _novel(self, stem: str, own: int) -> float:
        """Log probability of an unknown word's letters, apart from `language`.

        A form or a compound of known words is about as likely as the rarer of these.
        """
        odd = sum(map(is_trace, encode(stem)))
        letters = self.settings.per_letter * len(stem) if own < 0 else 0.0
        if not odd:
            priors = self.language.priors
            made = max(
                (
                    min(priors[self.language.ids[part]] for part in parts)
                    for parts in parts_of(stem.lower(), self._known)
                ),
                default=-math.inf,
            )
            letters = max(letters, made + self.settings.derived - priors[own])
        return letters + self.settings.per_odd_sign * odd

    def written(self, lattice: Lattice, chosen: Sequence[int]) -> str:
        """The text with the chosen words, and without marks that stand alone."""
        text, parts, end = lattice.text, [], 0
        for piece, forms, at in zip(lattice.pieces, lattice.forms, chosen, strict=True):
            word = forms[at]
            if word == text[piece.start : piece.end]:
                continue
            before = text[end : piece.start]
            if not word and piece.known:
                continue
            parts += [before if word else before.rstrip(), word]
            end = piece.end
        return "".join([*parts, text[end:]]).strip() or text

    def _look_up(self, words: list[str]) -> None:
        """Weighs the candidates of words as written, and keeps the likeliest."""
        index, members = self._index, self._members
        prior = self.language.log_prior[members]
        at, found = find_pairs(index, words, prior)
        width = max(map(len, words))
        written = np.zeros((len(words), width), np.uint8)
        lengths = np.array([len(word) for word in words], np.int64)
        for row, word in enumerate(words):
            written[row, : len(word)] = encode(word)
        deepest = int(index.lengths[found].max()) if len(found) else 1
        fits = edit_log_likelihoods(
            written[at], lengths[at], index.letters[found][:, :deepest], index.lengths[found],
            self.settings.per_edit,
        )  # fmt: skip
        joint = fits + prior[found][:, None]
        score = joint.max(axis=1)
        order = np.lexsort((-score, at))
        bounds = np.searchsorted(at[order], np.arange(len(words) + 1))
        for place, word in enumerate(words):
            rows = order[bounds[place] : bounds[place + 1]]
            rows = rows[np.isfinite(score[rows])]
            kept = rows[: self.settings.column]
            evidence = np.log(np.exp(joint[rows]).sum(axis=0) + 1e-30)
            self._found[word] = Found(members[found[kept]].tolist(), fits[kept], evidence)
