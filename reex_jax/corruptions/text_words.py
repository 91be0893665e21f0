"""Word corruptions, after EDA (Wei and Zou 2019) and AEDA (Karimi et al. 2021).

A word is what stands between white space. The result is joined by single spaces. A caption of
one word has nothing to swap or to delete and stays as it is.
"""

import numpy as np

from reex_jax.corruptions.text_choice import choose, pick, share_of

PUNCTUATION = ".,!?;:"
"""AEDA's marks."""


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
