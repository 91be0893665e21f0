"""Tokenizers that come whole in one tokenizer.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers

from reex_jax.errors import UserError
from reex_jax.files import refuse_pointer


def engine_from_json(file: Path) -> tokenizers.Tokenizer:
    """The engine in a tokenizer.json, its own padding and truncation switched off.

    Raises:
        UserError: it cannot be read.
    """
    refuse_pointer(file)
    try:
        engine = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the engine raises bare Exception
        raise UserError(
            f"{file}: cannot be read as a tokenizer ({error}); fetch the file anew"
        ) from error
    engine.no_padding()
    engine.no_truncation()
    return engine


def token_id(
    engine: tokenizers.Tokenizer, settings: Mapping[str, Any], key: str, default: str, folder: Path
) -> int:
    """The id of a special token.

    Args:
        engine: whose vocabulary has it.
        settings: tokenizer_config.json, which may name the token under `key`.
        key: such as "eos_token".
        default: its name where the settings do not say.
        folder: for the message.

    Raises:
        UserError: the vocabulary lacks it.
    """
    given = settings.get(key) or default
    content = given.get("content") if isinstance(given, Mapping) else given
    found = engine.token_to_id(str(content))
    if found is None:
        raise UserError(
            f"{folder}: the tokenizer has no token {content!r} ({key}); take tokenizer.json and "
            "tokenizer_config.json from one checkpoint"
        )
    return int(found)
