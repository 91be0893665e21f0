"""Checks of pixels and token ids that are given as they are."""

from pathlib import Path

import jax
import numpy as np
from jax.typing import ArrayLike

from reex_jax.errors import UserError
from reex_jax.models.text_tokenizer import TextTokenizer
from reex_jax.models.towers import TextShape, VisionShape, check_length

_LARGEST_PIXEL = 1e6


def check_pixels(pixels: ArrayLike, config: VisionShape) -> np.ndarray:
    """Preprocessed pixels [n, h, w, c] float32 on the host.

    Raises:
        UserError: another shape or dtype than the model takes, or values that are not finite or
            too large.
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


def check_ids(ids: ArrayLike, config: TextShape, *, fixed_length: bool = False) -> np.ndarray:
    """Token ids [n, length] int32 on the host.

    Raises:
        UserError: another shape or dtype, a row too long, another length where texts have only
            one, or an id that is not in the vocabulary.
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
    check_length(array.shape[1], longest, fixed_length)
    return array.astype(np.int32)


def check_vocabulary_fits(tokenizer: TextTokenizer | None, config: TextShape, folder: Path) -> None:
    """Raises UserError if a tokenizer has ids that the model does not know."""
    if tokenizer is not None and tokenizer.largest_id >= config.vocab_size:
        raise UserError(
            f"{folder}: the tokenizer has ids up to {tokenizer.largest_id}, but config.json says "
            f"vocab_size {config.vocab_size}; take both from one checkpoint"
        )
