"""CLIP's byte-pair tokenizer, read from a checkpoint folder.

The rules are those of Hugging Face's CLIPTokenizer (`transformers`, tokenization_clip.py), built
here on its engine `tokenizers` alone: importing transformers takes seconds and warns where PyTorch
is missing.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from tokenizers import AddedToken, Regex, normalizers, pre_tokenizers
from tokenizers.models import BPE

from reex_jax.errors import UserError
from reex_jax.models.clip.config import read_config

LENGTHS = (16, 32, 48, 64, 77)
"""Padded lengths: few, so that few shapes compile; 77 is CLIP's own."""

FILES = "tokenizer.json, or vocab.json and merges.txt"
_WORDS = Regex(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
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


@dataclass(frozen=True)
class SpecialTokens:
    """The tokens that stand for no text; the defaults are CLIP's."""

    start: AddedToken
    end: AddedToken
    unknown: AddedToken
    padding: AddedToken


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
    ) -> None:
        """Builds the pipeline.

        Args:
            vocab: token -> id; the last token of a word ends in `</w>`.
            merges: pairs in the order in which they are joined.
            max_length: longest row, start and end token included; a longer caption keeps its
                first max_length - 2 tokens and the end token.
            special: None for CLIP's own.

        Raises:
            UserError: a special token is missing, or vocabulary and merges do not fit.
        """
        special = special or _special_tokens({})
        for token in (special.start, special.end, special.unknown, special.padding):
            if token.content not in vocab:
                raise UserError(
                    f"the vocabulary has no token {token.content!r}; CLIP's start, end, unknown "
                    "and padding tokens must be part of it"
                )
        if max_length < 3:
            raise UserError(f"max_length is {max_length}; start, one token and end need 3")
        self.max_length = max_length
        self.start_id = vocab[special.start.content]
        self.end_id = vocab[special.end.content]
        self.padding_id = vocab[special.padding.content]
        self.largest_id = max(vocab.values())
        self.lengths = (*(n for n in LENGTHS if n < max_length), max_length)
        self._engine = _engine(vocab, merges, special)
        self._truncation_reported = False

    @classmethod
    def load(cls, folder: str | Path, *, max_length: int | None = None) -> "Tokenizer":
        """Reads a tokenizer from a checkpoint folder.

        As Hugging Face does, tokenizer.json comes before vocab.json + merges.txt, and only its
        vocabulary and merges are used; tokenizer_config.json, if there, names the special tokens.

        Args:
            folder: the checkpoint folder.
            max_length: None takes `max_position_embeddings` from the folder's config.json.

        Raises:
            UserError: files are missing, damaged, or not a CLIP vocabulary.
        """
        folder = Path(folder)
        if not has_tokenizer(folder):
            raise UserError(f"{folder} holds no tokenizer; expected {FILES}")
        if max_length is None:
            max_length = read_config(folder).text.max_position_embeddings
        settings = folder / "tokenizer_config.json"
        try:
            special = _special_tokens(read_json(settings) if settings.is_file() else {})
            vocab, merges = _read_vocabulary(folder)
            return cls(vocab, merges, max_length=max_length, special=special)
        except UserError as error:
            raise UserError(f"tokenizer of {folder}: {error}") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
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
        try:
            return list(self._engine.encode(text, add_special_tokens=False).ids)
        except TypeError as error:  # the engine's answer to what UTF-8 cannot express
            raise UserError(
                f"caption {position} is not valid Unicode (a lone surrogate) in {text!r:.60}; "
                "decode its file as UTF-8, or with errors='replace'"
            ) from error


def has_tokenizer(folder: Path) -> bool:
    """True if any tokenizer file lies in the folder (it may still be damaged)."""
    return any((folder / f).is_file() for f in ("tokenizer.json", "vocab.json", "merges.txt"))


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
    engine.add_special_tokens([special.start, special.end, special.unknown, special.padding])
    return engine


def _special_tokens(settings: dict[str, Any]) -> SpecialTokens:
    """The special tokens that tokenizer_config.json names, else CLIP's.

    A token is a string or an object; `added_tokens_decoder` may say more about it.
    """
    details = {
        entry["content"]: entry for entry in (settings.get("added_tokens_decoder") or {}).values()
    }

    def token(key: str, default: str) -> AddedToken:
        given = settings.get(key) or default
        content = given if isinstance(given, str) else given["content"]
        detail = details.get(content, {} if isinstance(given, str) else given)
        flags = ("lstrip", "rstrip", "single_word", "normalized")
        return AddedToken(
            content, special=True, **{flag: bool(detail.get(flag, False)) for flag in flags}
        )

    return SpecialTokens(
        start=token("bos_token", "<|startoftext|>"),
        end=token("eos_token", "<|endoftext|>"),
        unknown=token("unk_token", "<|endoftext|>"),
        padding=token("pad_token", "<|endoftext|>"),
    )


def _read_vocabulary(folder: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    whole = folder / "tokenizer.json"
    if whole.is_file():
        content = read_json(whole)
        model = content["model"]
        if not {"vocab", "merges"} <= model.keys():
            raise UserError(
                f"tokenizer.json holds a {model.get('type')} model; CLIP needs byte pairs (BPE)"
            )
        added = {t["content"]: t["id"] for t in content.get("added_tokens", [])}
        pairs = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
        return model["vocab"] | added, [(left, right) for left, right in pairs]
    for name in ("vocab.json", "merges.txt"):
        if not (folder / name).is_file():
            raise UserError(f"{name} is missing; a tokenizer is {FILES}")
    try:
        return BPE.read_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    except Exception as error:  # the engine raises bare Exception
        raise UserError(f"cannot read vocab.json and merges.txt ({error})") from error


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        UserError: unreadable, not JSON, or not an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); fetch the file anew") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content
