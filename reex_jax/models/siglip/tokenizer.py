"""SigLIP's tokenizers: SentencePiece (SigLIP) and Gemma's byte pairs (SigLIP 2).

Both lower-case, since the models saw nothing else in training; SigLIP's also takes out punctuation,
as its processor does. Rows are text, end token, padding up to the only length.
"""

import re
import string
from pathlib import Path
from typing import Any

import tokenizers

from reex_jax.errors import UserError
from reex_jax.files import read_json
from reex_jax.models.engine_file import engine_from_json, token_id
from reex_jax.models.sentencepiece import sentencepiece_engine
from reex_jax.models.text_tokenizer import TextTokenizer

FILES = "tokenizer.json, or spiece.model"
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def load_siglip_tokenizer(folder: Path, length: int) -> TextTokenizer | None:
    """The tokenizer of a checkpoint folder, or None if it has none.

    Args:
        folder: with tokenizer.json or spiece.model, and tokenizer_config.json.
        length: to which all texts are padded.

    Raises:
        UserError: files are damaged, or ask for padding on the left.
    """
    engine = _engine(folder)
    if engine is None:
        return None
    path = folder / "tokenizer_config.json"
    settings = read_json(path) if path.is_file() else {}
    if settings.get("padding_side", "right") != "right":
        raise UserError(
            f"{path}: padding_side is {settings['padding_side']!r}, but SigLIP reads the last "
            "position and was trained with padding on the right"
        )
    first = is_first_siglip(settings, folder)
    end, padding = ("</s>", "</s>") if first else ("<eos>", "<pad>")
    return TextTokenizer(
        engine,
        start=(),
        end=(token_id(engine, settings, "eos_token", end, folder),),
        padding_id=token_id(engine, settings, "pad_token", padding, folder),
        max_length=length,
        lengths=(),
        clean=canonical if first else str.lower,
    )


def is_first_siglip(settings: dict[str, Any], folder: Path) -> bool:
    """Whether a tokenizer is SigLIP's, not SigLIP 2's; tokenizer_config.json says so."""
    kind = settings.get("tokenizer_class")
    if kind is None:
        return (folder / "spiece.model").is_file()
    return str(kind).removesuffix("Fast") in ("SiglipTokenizer", "T5Tokenizer")


def canonical(caption: str) -> str:
    """Lower-cased, without ASCII punctuation, runs of white space as one space; may be empty."""
    return re.sub(r"\s+", " ", caption.lower().translate(_PUNCTUATION)).strip()


def _engine(folder: Path) -> tokenizers.Tokenizer | None:
    if (folder / "tokenizer.json").is_file():
        return engine_from_json(folder / "tokenizer.json")
    if (folder / "spiece.model").is_file():
        return sentencepiece_engine(folder / "spiece.model")
    return None
