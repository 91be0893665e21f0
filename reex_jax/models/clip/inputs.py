"""Checks of what must fit a model: pixels and token ids given as they are, its tokenizer."""

from pathlib import Path

import jax
import numpy as np
from jax.typing import ArrayLike

from reex_jax.errors import UserError
from reex_jax.models.clip.config import LEGACY_EOS_TOKEN_ID, TextConfig, VisionConfig
from reex_jax.models.clip.tokenizer import Tokenizer

_LARGEST_PIXEL = 1e6


def check_pixels(pixels: ArrayLike, config: VisionConfig) -> np.ndarray:
    """Preprocessed pixels [n, h, w, c] float32 on the host.

    Raises:
        UserError: another shape or dtype than the model takes, or values that are not finite.
    """
    array = np.asarray(jax.device_get(pixels))
    shape = (config.image_size, config.image_size, config.num_channels)
    if array.ndim != 4 or array.shape[1:] != shape:
        raise UserError(
            f"pixels have shape {list(array.shape)}, but this model takes "
            f"[n, {', '.join(map(str, shape))}] (channels last)"
        )
    if array.dtype != np.float32:
        raise UserError(
            f"pixels are {array.dtype}, but must be float32 and already normalised; "
            "encode_images takes PIL images as they are"
        )
    # NaN compares false. Normalised pixels lie within some tens; features may be larger.
    bad = np.flatnonzero(~(np.abs(array) <= _LARGEST_PIXEL).all(axis=(1, 2, 3)))
    if bad.size:
        raise UserError(
            f"pixels of image {bad[0]} hold NaN, infinite values or values beyond "
            f"{_LARGEST_PIXEL:g}; check its source"
        )
    return array


def check_ids(ids: ArrayLike, config: TextConfig) -> np.ndarray:
    """Token ids [n, length] int32 on the host.

    Raises:
        UserError: another shape or dtype, a row too long or without end token, or an id that is
            not in the vocabulary.
    """
    array = np.asarray(jax.device_get(ids))
    longest = config.max_position_embeddings
    if array.ndim != 2 or not 1 <= array.shape[1] <= longest:
        raise UserError(
            f"token ids have shape {list(array.shape)}, but this model takes [n, length] with a "
            f"length of 1 to {longest}"
        )
    if not np.issubdtype(array.dtype, np.integer):
        raise UserError(f"token ids are {array.dtype}, but must be integers (int32)")
    for row in np.flatnonzero(((array < 0) | (array >= config.vocab_size)).any(axis=1)):
        raise UserError(
            f"token ids of text {row} range from {array[row].min()} to {array[row].max()}, but the "
            f"vocabulary has {config.vocab_size} entries; use the checkpoint's own tokenizer"
        )
    if config.eos_token_id != LEGACY_EOS_TOKEN_ID:
        for row in np.flatnonzero(~(array == config.eos_token_id).any(axis=1)):
            raise UserError(
                f"token ids of text {row} hold no end token (id {config.eos_token_id}), at which "
                "CLIP reads the text's embedding; put it behind the text"
            )
    return array.astype(np.int32)


def check_fit(tokenizer: Tokenizer, config: TextConfig, folder: Path) -> None:
    """Raises UserError if tokenizer and config.json come from two checkpoints."""
    if tokenizer.largest_id >= config.vocab_size:
        raise UserError(
            f"{folder}: the tokenizer has ids up to {tokenizer.largest_id}, but config.json says "
            f"vocab_size {config.vocab_size}; take both from one checkpoint"
        )
    legacy = config.eos_token_id == LEGACY_EOS_TOKEN_ID  # such a model pools at the largest id
    expected = tokenizer.largest_id if legacy else config.eos_token_id
    if tokenizer.end_id != expected:
        raise UserError(
            f"{folder}: the tokenizer's end token has id {tokenizer.end_id}, but the model pools "
            f"at id {expected} (eos_token_id in config.json); take both from one checkpoint"
        )
