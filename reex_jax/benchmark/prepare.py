"""A query becomes the model's input: pixels of a picture, token ids of a caption."""

from collections.abc import Callable
from typing import Any

import numpy as np

from reex_jax.clip.api import Clip
from reex_jax.clip.preprocess import prepare_captions, preprocess_image
from reex_jax.clip.tokenizer import FILES
from reex_jax.datasets.retrieval_set import IMAGE_TO_TEXT
from reex_jax.errors import UserError

Prepare = Callable[[Any], np.ndarray]
Stack = Callable[[list[np.ndarray]], np.ndarray]


def query_preparation(
    clip: Clip, direction: str, *, one_length: bool = False
) -> tuple[Prepare, Stack]:
    """How one query is prepared, and how a batch is made of several.

    Args:
        clip: the model whose inputs they become.
        direction: "image_to_text" or "text_to_image".
        one_length: pad every batch of captions to the tokenizer's full length; needed where
            several processes prepare parts of one batch, which must have one shape.

    Returns:
        image_to_text: PIL image -> pixels [h, w, 3] float32, normalised; and `np.stack`.
        text_to_image: string -> token ids [length] int32; and a function that pads them to the
        shortest of the tokenizer's lengths that holds all: [n, length] int32.

    Raises:
        UserError: the checkpoint has no tokenizer, or its pixels are not RGB.
    """
    settings, tokenizer = clip.preprocessing, clip.tokenizer
    if direction == IMAGE_TO_TEXT:
        if settings is None:
            raise UserError(f"the model of {clip.folder} does not take pictures (RGB pixels)")
        return lambda image: preprocess_image(image, settings), np.stack
    if tokenizer is None:
        raise UserError(f"{clip.folder} holds no tokenizer; add {FILES} of the same checkpoint")
    mode = settings.mode if settings else "clip"
    length = tokenizer.max_length if one_length else None

    def tokenise(caption: str) -> np.ndarray:
        rows, _ = tokenizer.encode(prepare_captions([caption], mode))
        return np.array(rows[0], np.int32)

    return tokenise, lambda rows: tokenizer.pad([row.tolist() for row in rows], length)
