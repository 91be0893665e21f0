"""BLIP's tokenizer: BERT's word pieces, lower-cased."""

from pathlib import Path

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers

from reex_jax.errors import UserError
from reex_jax.files import read_json, refuse_pointer
from reex_jax.models.engine_file import engine_from_json, token_id
from reex_jax.models.text_tokenizer import TextTokenizer

FILES = "tokenizer.json, or vocab.txt"
MAX_TOKENS = 35
"""BLIP's retrieval was trained and measured with no more, though its positions hold 512."""


def load_blip_tokenizer(folder: Path, positions: int) -> TextTokenizer | None:
    """The tokenizer of a checkpoint folder, or None if it has none.

    Args:
        folder: with tokenizer.json or vocab.txt.
        positions: of the model.

    Raises:
        UserError: files are damaged or lack a special token.
    """
    path = folder / "tokenizer_config.json"
    settings = read_json(path) if path.is_file() else {}
    if (folder / "tokenizer.json").is_file():
        engine = engine_from_json(folder / "tokenizer.json")
    elif (folder / "vocab.txt").is_file():
        engine = _engine(folder / "vocab.txt", lower=bool(settings.get("do_lower_case", True)))
    else:
        return None
    return TextTokenizer(
        engine,
        start=(token_id(engine, settings, "cls_token", "[CLS]", folder),),
        end=(token_id(engine, settings, "sep_token", "[SEP]", folder),),
        padding_id=token_id(engine, settings, "pad_token", "[PAD]", folder),
        max_length=min(positions, MAX_TOKENS),
    )


def _engine(file: Path, *, lower: bool) -> tokenizers.Tokenizer:
    refuse_pointer(file)
    try:
        model = models.WordPiece.from_file(str(file), unk_token="[UNK]")
    except Exception as error:  # the engine raises bare Exception
        raise UserError(f"{file}: cannot be read ({error}); fetch the file anew") from error
    engine = tokenizers.Tokenizer(model)
    engine.normalizer = normalizers.BertNormalizer(lowercase=lower)
    engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return engine
