"""The language of the embedded rewriter, from what is installed."""

import hashlib
from collections.abc import Mapping

from reex_jax.errors import UserError
from reex_jax.gsr.channel.language import Language, merge_sources, read_counts
from reex_jax.gsr.dictionary import load_dictionary

_BOOKS, _WEB = 0.8, 0.2  # shares of a word's probability
_LEAST = 1e-6  # of all words: from here on a word of the web may be proposed as a repair
_PROBE = 1000


def load_language(captions: str = "") -> tuple[Language, str]:
    """The language of symspellpy's and wordsegment's counts, and its digest.

    Args:
        captions: a file of the user's own captions, one a line, counted in with the books; "" for
            none.

    Raises:
        UserError: the file cannot be read, or wordsegment is not installed.
    """
    books = load_dictionary(captions)
    try:
        words = read_counts("wordsegment", "unigrams.txt", "\t")
        pairs = read_counts("wordsegment", "bigrams.txt", "\t")
    except ModuleNotFoundError as error:
        raise UserError(
            "gsr.rewriter 'channel' needs the word counts of wordsegment; install it with "
            "pip install wordsegment"
        ) from error
    language = merge_sources(
        [(books.counts, books.pairs), (words, pairs)], (_BOOKS, _WEB), (True, False), _LEAST
    )
    digest = hashlib.sha256(f"{books.digest} {_digest(words)} {_digest(pairs)}".encode())
    return language, digest.hexdigest()[:12]


def _digest(counts: Mapping[str, float]) -> str:
    """Of a package's list, by its size, sum and first entries: it only changes as a whole."""
    first = [item for item, _ in zip(counts.items(), range(_PROBE), strict=False)]
    return hashlib.sha256(repr((len(counts), sum(counts.values()), first)).encode()).hexdigest()
