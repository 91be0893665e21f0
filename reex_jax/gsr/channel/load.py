"""The language of the embedded rewriter, from what is installed."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache

from reex_jax.errors import UserError
from reex_jax.gsr.channel.language import Language, merge_sources, read_counts
from reex_jax.gsr.dictionary import Dictionary

_BOOKS, _WEB = 0.8, 0.2  # shares of a word's probability
_LEAST = 1e-6  # of all words: from here on a word of the web may be proposed as a repair
_PROBE = 1000


@lru_cache(maxsize=1)
def load_language(books: Dictionary) -> tuple[Language, str]:
    """The language of symspellpy's and wordsegment's counts, and its digest.

    Args:
        books: symspellpy's, with the user's own captions counted in.

    Raises:
        UserError: wordsegment is not installed.
    """
    words, pairs = _web_counts("unigrams.txt"), _web_counts("bigrams.txt")
    language = merge_sources(
        [(books.counts, books.pairs), (words, pairs)], (_BOOKS, _WEB), (True, False), _LEAST
    )
    digest = hashlib.sha256(f"{books.digest} {_digest(words)} {_digest(pairs)}".encode())
    return language, digest.hexdigest()[:12]


@lru_cache(maxsize=1)
def web_shares() -> dict[str, float]:
    """Words of the web in lower case, misspelt ones too -> their share of all.

    Raises:
        UserError: wordsegment is not installed.
    """
    counts = _web_counts("unigrams.txt")
    total = sum(counts.values())
    return {word: count / total for word, count in counts.items()}


def _web_counts(name: str) -> dict[str, float]:
    try:
        return read_counts("wordsegment", name, "\t")
    except ModuleNotFoundError as error:
        raise UserError(
            "the rewriters 'channel' and 'symspell' need the word counts of wordsegment; install "
            "it with pip install wordsegment"
        ) from error


def _digest(counts: Mapping[str, float]) -> str:
    """Of a package's list, by its size, sum and first entries: it only changes as a whole."""
    first = [item for item, _ in zip(counts.items(), range(_PROBE), strict=False)]
    return hashlib.sha256(repr((len(counts), sum(counts.values()), first)).encode()).hexdigest()
