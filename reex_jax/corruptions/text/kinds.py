"""Text corruptions, seeded for each caption.

Kinds and severities follow Qiu et al., "Benchmarking Robustness of Multimodal Image-Text Models
under Distribution Shift" (MM_Robustness, 2022): severity s touches a share of s / 10 of the words
that the kind may touch, at least one. Which words these are, and what happens inside of them,
say `text_characters` and `text_words`.

Their code asks for a share of s / 20 of *all* words. For the character kinds that is about the
same: nlpaug then draws among the words of four or more characters only, about half of a caption,
as we do. For the word kinds it is the same for swaps (s / 20 swaps touch s / 10 of the words),
and half of ours for deletions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from reex_jax.corruptions.seeding import item_rng
from reex_jax.corruptions.severity import check_severity
from reex_jax.corruptions.text import characters as text_characters
from reex_jax.corruptions.text import held_out as text_held_out
from reex_jax.corruptions.text import words as text_words
from reex_jax.corruptions.text.sentence_prompts import SENTENCE_KINDS
from reex_jax.corruptions.text.sentences import SentenceRewrites, how_to_make
from reex_jax.errors import UserError, unknown


@dataclass(frozen=True)
class TextCorruption:
    """One kind of corruption.

    Attributes:
        apply: a pure function (caption, severity from 1, rng) -> caption, never empty.
        severities: the highest severity.
    """

    apply: Callable[[str, int, np.random.Generator], str]
    severities: int


CHARACTER_KINDS = ("ocr", "keyboard", "insert", "replace", "swap", "delete")
WORD_KINDS = (
    "synonym_replacement",
    "word_insertion",
    "word_swap",
    "word_deletion",
    "punctuation_insertion",
)
TEXT_BENCHMARK = (*CHARACTER_KINDS, *WORD_KINDS, *SENTENCE_KINDS)
"""What COCO-C and Flickr-C consist of: sixteen kinds."""

HELD_OUT_KINDS = ("vowel_drop", "wrong_autocorrection")
"""For tuning only, a character and a word kind; severities as theirs. No benchmark has them."""

TEXT_CORRUPTIONS: Mapping[str, TextCorruption] = MappingProxyType(
    {
        "ocr": TextCorruption(text_characters.ocr, 7),
        "keyboard": TextCorruption(text_characters.keyboard, 7),
        "insert": TextCorruption(text_characters.insert, 7),
        "replace": TextCorruption(text_characters.replace, 7),
        "swap": TextCorruption(text_characters.swap, 7),
        "delete": TextCorruption(text_characters.delete, 7),
        "synonym_replacement": TextCorruption(text_words.synonym_replacement, 5),
        "word_insertion": TextCorruption(text_words.word_insertion, 5),
        "word_swap": TextCorruption(text_words.word_swap, 5),
        "word_deletion": TextCorruption(text_words.word_deletion, 5),
        "punctuation_insertion": TextCorruption(text_words.punctuation_insertion, 5),
        "vowel_drop": TextCorruption(text_held_out.vowel_drop, 7),
        "wrong_autocorrection": TextCorruption(text_held_out.wrong_autocorrection, 5),
    }
)
"""The kinds that are made while the run goes on."""

TEXT_SEVERITIES: Mapping[str, int] = MappingProxyType(
    {name: kind.severities for name, kind in TEXT_CORRUPTIONS.items()}
    | dict.fromkeys(SENTENCE_KINDS, 1)
)
"""Every kind that `corrupt_text` takes -> its highest severity."""


def corrupt_text(
    caption: str,
    corruption: str,
    severity: int,
    *,
    item_id: str,
    seed: int,
    sentences: SentenceRewrites | None = None,
) -> str:
    """Corrupts one caption; equal arguments always give equal text.

    Args:
        caption: a text with at least one character that is not white space.
        corruption: a name in TEXT_SEVERITIES.
        severity: 1 (weakest) to 7 for character kinds, to 5 for word kinds, 1 for sentence kinds;
            0 gives the caption unchanged.
        item_id: the caption's id.
        seed: the run's seed; without effect on sentence kinds.
        sentences: where sentence kinds look up their texts.

    Returns:
        The corrupted caption, never empty.

    Raises:
        UserError: the name is unknown, the severity does not exist, the caption is empty or no
            string, or `sentences` has no text of this kind for it.
    """
    if corruption not in TEXT_SEVERITIES:
        raise unknown("text corruption", corruption, TEXT_SEVERITIES)
    severity = check_severity(corruption, severity, TEXT_SEVERITIES[corruption])
    if not isinstance(caption, str) or not caption.strip():
        raise UserError(
            f"caption {item_id!r} is {caption!r:.60}; corruptions need a text that is not empty"
        )
    rng = item_rng(item_id, corruption, severity, seed)  # checks its arguments in any case
    if severity == 0:
        return caption
    if corruption not in SENTENCE_KINDS:
        return TEXT_CORRUPTIONS[corruption].apply(caption, severity, rng)
    if sentences is None:
        raise UserError(
            f"{corruption} needs captions rewritten before the run; {how_to_make((corruption,))}"
        )
    return sentences.text(corruption, item_id, caption)
