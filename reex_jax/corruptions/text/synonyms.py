"""Synonyms of English words, from the extract of WordNet 3.0 in `wordnet/`.

As NLTK does for EDA, a word is looked up in every part of speech, as it stands and under its base
forms (irregular forms by list, others by WordNet's endings, morphy(7)), and all senses count. The
word itself, its base form and names with capitals are no synonyms here; for EDA they are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from reex_jax.corruptions.text.wordnet_files import EXCEPTIONS, PARTS_OF_SPEECH, SYNSETS

_FOLDER = Path(__file__).parent / "wordnet"

_ENDINGS = {
    "n": (
        ("s", ""),
        ("ses", "s"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("ves", "f"),
        ("men", "man"),
        ("ies", "y"),
    ),
    "v": (
        ("s", ""),
        ("ies", "y"),
        ("es", "e"),
        ("es", ""),
        ("ed", "e"),
        ("ed", ""),
        ("ing", "e"),
        ("ing", ""),
    ),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}
"""Part of speech -> WordNet's rules: an ending, and what stands in its place in the base form."""


@dataclass(frozen=True)
class _WordNet:
    """Part of speech -> word -> its synsets (lemmas joined by commas), and -> its base forms."""

    synsets: Mapping[str, Mapping[str, tuple[str, ...]]]
    exceptions: Mapping[str, Mapping[str, tuple[str, ...]]]


@lru_cache(maxsize=65536)
def synonyms(word: str) -> tuple[str, ...]:
    """Every synonym of a word, sorted; some are of several words.

    Args:
        word: one word in lower case, in any inflection.

    Returns:
        Synonyms in lower case and in their base form; none for a word that WordNet lacks.
    """
    wordnet = _wordnet()
    found: set[str] = set()
    for part in PARTS_OF_SPEECH:
        forms = tuple(_forms(word, part, wordnet))
        lemmas = {
            lemma
            for form in forms
            for synset in wordnet.synsets[part].get(form, ())
            for lemma in synset.split(",")
        }
        found |= lemmas.difference(forms)
    return tuple(sorted(found - {word}))


def _forms(word: str, part: str, wordnet: _WordNet) -> Iterator[str]:
    yield word
    irregular = wordnet.exceptions[part].get(word, ())
    yield from irregular
    if not irregular:
        for ending, base in _ENDINGS[part]:
            if word.endswith(ending):
                yield word.removesuffix(ending) + base


@cache
def _wordnet() -> _WordNet:
    """Read on first use, which takes a tenth of a second."""
    synsets: dict[str, dict[str, tuple[str, ...]]] = {part: {} for part in PARTS_OF_SPEECH}
    exceptions: dict[str, dict[str, tuple[str, ...]]] = {part: {} for part in PARTS_OF_SPEECH}
    for line in (_FOLDER / SYNSETS).read_text("ascii").splitlines():
        part, lemmas = line.split(" ", 1)
        for lemma in lemmas.split(","):
            if " " not in lemma:
                synsets[part][lemma] = (*synsets[part].get(lemma, ()), lemmas)
    for line in (_FOLDER / EXCEPTIONS).read_text("ascii").splitlines():
        part, form, base = line.split(" ")
        exceptions[part][form] = (*exceptions[part].get(form, ()), base)
    return _WordNet(synsets, exceptions)
