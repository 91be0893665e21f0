"""CLIP's byte-pair tokenizer, read from a checkpoint folder.

The rules are those of Hugging Face's CLIPTokenizer (`transformers`, tokenization_clip.py), built
here on its engine `tokenizers` alone: importing transformers takes seconds and warns where PyTorch
is missing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import AddedToken, Regex, normalizers, pre_tokenizers
from tokenizers.models import BPE

from reex_jax.errors import UserError
from reex_jax.files import home
from reex_jax.models.clip.config import read_config
from reex_jax.models.clip.tokenizer_files import (
    FILES,
    SpecialTokens,
    has_tokenizer,
    read_files,
    special_tokens,
)

LENGTHS = (16, 32, 48, 64, 77)
"""Padded lengths: few, so that few shapes compile; 77 is CLIP's own."""

_WORDS = Regex(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
MAX_CHARACTERS = 200_000
"""A longer text is a mistake, and the engine would take 200 bytes of memory for each character."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tokens:
    """Captions as token ids.

    Attributes:
        ids: [n, length] int32; each row is start token, caption, end token, padding.
        truncated: how many of the n captions were cut to fit the model.
    """

    ids: np.ndarray
    truncated: int


class Tokenizer:
    """Strings to padded token ids, equal to Hugging Face's CLIPTokenizer with truncation.

    A caption is brought to NFC, its white space collapsed, lower-cased, split into words, and each
    word into the byte pairs of the vocabulary. Text of a special token (`<|endoftext|>`) becomes
    that token, as in CLIP.
    """

    def __init__(
        self,
        vocab: dict[str, int],
        merges: Sequence[tuple[str, str]],
        *,
        max_length: int,
        special: SpecialTokens | None = None,
        added: Sequence[tuple[AddedToken, int | None]] = (),
    ) -> None:
        """Builds the pipeline.

        Args:
            vocab: token -> id; the last token of a word ends in `</w>`.
            merges: pairs in the order in which they are joined.
            max_length: longest row, start and end token included; a longer caption keeps its
                first max_length - 2 tokens and the end token.
            special: None for CLIP's own.
            added: other tokens that stand for themselves wherever the text has them, with the ids
                that they must get (None: any); see `TokenizerFiles.added`.

        Raises:
            UserError: a special token is missing, or vocabulary and merges do not fit, or an added
                token would get another id than the files say.
        """
        special = special or special_tokens({})
        four = (special.start, special.end, special.unknown, special.padding)
        known = {token.content for token, number in added if number is not None}
        for token in four:
            if token.content not in vocab and token.content not in known:
                raise UserError(
                    f"the vocabulary has no token {token.content!r}; CLIP's start, end, unknown "
                    "and padding tokens must be part of it"
                )
        if max_length < 3:
            raise UserError(f"max_length is {max_length}; start, one token and end need 3")
        self.max_length = max_length
        self._engine = _engine(vocab, merges, special)
        self._engine.add_tokens([*(token for token, _ in added), *four])
        _check_added(self._engine, added)
        ids = self._engine.get_vocab()
        self.start_id = ids[special.start.content]
        self.end_id = ids[special.end.content]
        self.padding_id = ids[special.padding.content]
        self.largest_id = max(ids.values())
        self.lengths = (*(n for n in LENGTHS if n < max_length), max_length)
        self._truncation_reported = False

    @classmethod
    def load(cls, folder: str | Path, *, max_length: int | None = None) -> "Tokenizer":
        """Reads a tokenizer from a checkpoint folder.

        Which file counts for what says `tokenizer_files`.

        Args:
            folder: the checkpoint folder.
            max_length: None takes `max_position_embeddings` from the folder's config.json.

        Raises:
            UserError: files are missing, damaged, or not a CLIP vocabulary.
        """
        folder = home(folder)
        if not has_tokenizer(folder):
            raise UserError(f"{folder} holds no tokenizer; expected {FILES}")
        if max_length is None:
            max_length = read_config(folder).text.max_position_embeddings
        try:
            files = read_files(folder)
            return cls(
                files.vocab,
                files.merges,
                max_length=max_length,
                special=files.special,
                added=files.added,
            )
        except UserError as error:
            raise UserError(f"tokenizer of {folder}: {error}") from error
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"tokenizer of {folder}: its files are not laid out as Hugging Face's "
                f"({type(error).__name__}: {error}); fetch {FILES} anew"
            ) from error

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
            if len(ids) > self.max_length - 2:
                ids = ids[: self.max_length - 2]
                truncated += 1
            rows.append([self.start_id, *ids, self.end_id])
        if truncated and not self._truncation_reported:
            self._truncation_reported = True
            _log.warning(
                "%d of %d captions are longer than %d tokens and were cut, as CLIP does "
                "(said once; Tokens.truncated counts them)",
                truncated,
                len(rows),
                self.max_length,
            )
        return rows, truncated

    def pad(self, rows: Sequence[Sequence[int]], length: int | None = None) -> np.ndarray:
        """Rows of `encode` as one array [n, length] int32.

        `length` must hold the longest row; None takes the shortest of `lengths` that does.

        What is padded with does not matter to CLIP, which pools at the first end token and whose
        text tower is causal; we pad with the tokenizer's padding token, as Hugging Face does.
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
            return list(self._engine.encode(text, add_special_tokens=False).ids)
        except TypeError as error:  # the engine's answer to what UTF-8 cannot express
            raise UserError(
                f"caption {position} is not valid Unicode (a lone surrogate) in {text!r:.60}; "
                "decode its file as UTF-8, or with errors='replace'"
            ) from error


def _engine(
    vocab: dict[str, int], merges: Sequence[tuple[str, str]], special: SpecialTokens
) -> tokenizers.Tokenizer:
    """The pipeline of transformers' CLIPTokenizer, without its padding and start/end tokens."""
    if not any(token.endswith("</w>") for token in vocab):
        raise UserError("no token ends in '</w>'; this is not a CLIP vocabulary")
    try:
        model = BPE(
            vocab=vocab,
            merges=list(merges),
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            fuse_unk=False,
            unk_token=special.unknown.content,
        )
    except Exception as error:  # the engine raises bare Exception
        raise UserError(f"vocabulary and merges do not fit: {error}") from error
    engine = tokenizers.Tokenizer(model)
    engine.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    engine.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_WORDS, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return engine


def _check_added(
    engine: tokenizers.Tokenizer, added: Sequence[tuple[AddedToken, int | None]]
) -> None:
    """Refuses ids that the engine, and so transformers, would not give."""
    for token, number in added:
        found = engine.token_to_id(token.content)
        if number is not None and found != number:
            raise UserError(
                f"the added token {token.content!r} has id {number} in the files, but becomes "
                f"{found} when they are read in order; save the tokenizer anew with transformers"
            )
