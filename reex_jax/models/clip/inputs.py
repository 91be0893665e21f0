"""Checks of what must fit a CLIP model: rows of token ids, its tokenizer."""

from pathlib import Path

import numpy as np

from reex_jax.errors import UserError
from reex_jax.models.clip.config import LEGACY_EOS_TOKEN_ID, TextConfig
from reex_jax.models.clip.tokenizer import Tokenizer
from reex_jax.models.inputs import check_vocabulary_fits


def check_end_tokens(ids: np.ndarray, config: TextConfig) -> np.ndarray:
    """The ids [n, length] int32 as they are.

    Raises:
        UserError: a row without end token, at which CLIP reads the embedding.
    """
    if config.eos_token_id != LEGACY_EOS_TOKEN_ID:
        for row in np.flatnonzero(~(ids == config.eos_token_id).any(axis=1)):
            raise UserError(
                f"token ids of text {row} hold no end token (id {config.eos_token_id}), at which "
                "CLIP reads the text's embedding; put it behind the text"
            )
    return ids


def check_fit(tokenizer: Tokenizer, config: TextConfig, folder: Path) -> None:
    """Raises UserError if tokenizer and config.json come from two checkpoints."""
    check_vocabulary_fits(tokenizer, config, folder)
    legacy = config.eos_token_id == LEGACY_EOS_TOKEN_ID  # such a model pools at the largest id
    expected = tokenizer.largest_id if legacy else config.eos_token_id
    if tokenizer.end_id != expected:
        raise UserError(
            f"{folder}: the tokenizer's end token has id {tokenizer.end_id}, but the model pools "
            f"at id {expected} (eos_token_id in config.json); take both from one checkpoint"
        )
