"""CLIP's byte-pair tokenizer, read from a checkpoint folder.

The rules are those of Hugging Face's CLIPTokenizer (`transformers`, tokenization_clip.py), built
here on its engine `tokenizers` alone: importing transformers takes seconds and warns where PyTorch
is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, normalizers, pre_tokenizers
from tokenizers.models import BPE

from reex_jax.errors import UserError
from reex_jax.models.clip.config import read_config
from reex_jax.models.folders import read_json
from reex_jax.models.text_tokenizer import TextTokenizer

FILES = "tokenizer.json, or vocab.json and merges.txt"
_WORDS = Regex(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


@dataclass(frozen=True)
class SpecialTokens:
    """The tokens that stand for no text; the defaults are CLIP's."""

    start: AddedToken
    end: AddedToken
    unknown: AddedToken
    padding: AddedToken


class Tokenizer(TextTokenizer):
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
        super().__init__(
            _engine(vocab, merges, special),
            start=(vocab[special.start.content],),
            end=(vocab[special.end.content],),
            padding_id=vocab[special.padding.content],
            max_length=max_length,
        )

    @property
    def start_id(self) -> int:
        """Of the token before every caption."""
        return self.start[0]

    @property
    def end_id(self) -> int:
        """Of the token behind every caption, at which CLIP reads its embedding."""
        return self.end[0]

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
