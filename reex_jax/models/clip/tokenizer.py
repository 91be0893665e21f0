"""CLIP's byte-pair tokenizer, read from a checkpoint folder.

The rules are those of Hugging Face's CLIPTokenizer (`transformers`, tokenization_clip.py), built
here on its engine `tokenizers` alone: importing transformers takes seconds and warns where PyTorch
is missing.
"""

from collections.abc import Sequence
from pathlib import Path

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
from reex_jax.models.text_tokenizer import TextTokenizer

_WORDS = Regex(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


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
        engine = _engine(vocab, merges, special)
        engine.add_tokens([*(token for token, _ in added), *four])
        _check_added(engine, added)
        ids = engine.get_vocab()
        super().__init__(
            engine,
            start=(ids[special.start.content],),
            end=(ids[special.end.content],),
            padding_id=ids[special.padding.content],
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
