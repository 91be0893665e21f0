"""Strings to rows of token ids, whatever the family: what is around the engine `tokenizers`."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tokenizers

from reex_jax.errors import UserError

LENGTHS = (16, 32, 48, 64, 77)
"""Padded lengths: few, so that few shapes compile; 77 is CLIP's own."""

MAX_CHARACTERS = 200_000
"""A longer text is a mistake, and the engine would take 200 bytes of memory for each character."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tokens:
    """Captions as token ids.

    Attributes:
        ids: [n, length] int32; each row is the caption between special tokens, then padding.
        truncated: how many of the n captions were cut to fit the model.
    """

    ids: np.ndarray
    truncated: int


class TextTokenizer:
    """Captions to ids: cleaned, cut to what the model holds, special tokens around, padded."""

    def __init__(
        self,
        engine: tokenizers.Tokenizer,
        *,
        start: Sequence[int],
        end: Sequence[int],
        padding_id: int,
        max_length: int,
        lengths: Sequence[int] = LENGTHS,
        clean: Callable[[str], str] = str,
    ) -> None:
        """Wraps an engine whose own special tokens, padding and truncation are not used.

        Args:
            engine: strings to ids.
            start: ids before each caption.
            end: ids behind it; a caption that is too long is cut before they are put there.
            padding_id: what fills the rest of a row.
            max_length: longest row, special tokens included.
            lengths: of padded rows; those from max_length up are left out, max_length is added.
            clean: what happens to a caption first.

        Raises:
            UserError: max_length leaves no room for a single token.
        """
        if max_length <= len(start) + len(end):
            raise UserError(
                f"max_length is {max_length}; the special tokens and one more need "
                f"{len(start) + len(end) + 1}"
            )
        self.start, self.end = tuple(start), tuple(end)
        self.padding_id = padding_id
        self.max_length = max_length
        self.lengths = (*(n for n in lengths if n < max_length), max_length)
        self._engine, self._clean = engine, clean
        self._truncation_reported = False

    @property
    def largest_id(self) -> int:
        """Of the vocabulary."""
        return max(self._engine.get_vocab().values())

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Token ids of n captions, padded to the shortest of `lengths` that holds them all.

        An empty caption is legal: start and end token.

        Raises:
            UserError: `texts` is one string, or an item is not a string; the message names it.
        """
        rows, truncated = self.encode(texts)
        return Tokens(self.pad(rows), truncated)

    def encode(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """Token ids of each caption without padding, and how many captions were cut.

        The first cut is logged as a warning, later ones are only counted.

        Raises:
            UserError: as `__call__`.
        """
        if isinstance(texts, str | bytes):
            raise UserError(f"expected a list of captions, not one string; write [{texts!r:.60}]")
        rows, truncated = [], 0
        for position, text in enumerate(texts):
            ids = self._encode_one(position, text)
            room = self.max_length - len(self.start) - len(self.end)
            if len(ids) > room:
                ids = ids[:room]
                truncated += 1
            rows.append([*self.start, *ids, *self.end])
        if truncated and not self._truncation_reported:
            self._truncation_reported = True
            _log.warning(
                "%d of %d captions are longer than %d tokens and were cut "
                "(said once; Tokens.truncated counts them)",
                truncated,
                len(rows),
                self.max_length,
            )
        return rows, truncated

    def pad(self, rows: Sequence[Sequence[int]], length: int | None = None) -> np.ndarray:
        """Rows of `encode` as one array [n, length] int32.

        `length` must hold the longest row; None takes the shortest of `lengths` that does.

        Padding stands behind the text and is the checkpoint's own token, as Hugging Face's.
        """
        if length is None:
            longest = max(map(len, rows), default=0)
            length = next(n for n in self.lengths if n >= longest)
        ids = np.full((len(rows), length), self.padding_id, np.int32)
        for row, tokens in zip(ids, rows, strict=True):
            row[: len(tokens)] = tokens
        return ids

    def _encode_one(self, position: int, text: object) -> list[int]:
        if not isinstance(text, str):
            raise UserError(
                f"caption {position} is {text!r:.60} ({type(text).__name__}), not a string"
            )
        if len(text) > MAX_CHARACTERS:
            raise UserError(
                f"caption {position} has {len(text)} characters; shorten it to {MAX_CHARACTERS} at "
                f"most (the model reads {self.max_length} tokens)"
            )
        try:
            return list(self._engine.encode(self._clean(text), add_special_tokens=False).ids)
        except TypeError as error:  # the engine's answer to what UTF-8 cannot express
            raise UserError(
                f"caption {position} is not valid Unicode (a lone surrogate) in {text!r:.60}; "
                "decode its file as UTF-8, or with errors='replace'"
            ) from error
