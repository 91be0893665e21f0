"""A query becomes the model's input: pixels of a picture, token ids of a caption and repair."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from reex_jax.adaptation.fused import FusedTexts
from reex_jax.gsr.features import FusionFeatures
from reex_jax.gsr.repairs import Repairs
from reex_jax.models.two_tower import TwoTower
from reex_jax.settings.choices import IMAGE_TO_TEXT, QUERY_OF, TEXT_TO_IMAGE

Prepare = Callable[[Any], Any]
Stack = Callable[[list[Any]], Any]


def query_preparation(
    model: TwoTower, direction: str, *, one_length: bool = False
) -> tuple[Prepare, Stack]:
    """How one query is prepared, and how a batch is made of several.

    Args:
        model: whose inputs they become.
        direction: "image_to_text" or "text_to_image".
        one_length: pad every batch of captions to the model's full length; needed where several
            processes prepare parts of one batch, which must have one shape.

    Returns:
        image_to_text: PIL image -> pixels [h, w, c] uint8, to be normalised on the device; and
        `np.stack`.
        text_to_image: string -> token ids [length] int32; and a function that pads them to the
        shortest of the model's lengths that holds all: [n, length] int32.

    Raises:
        UserError: the checkpoint has no tokenizer, or its pixels are not RGB.
    """
    model.check_query(QUERY_OF[direction])
    if direction == IMAGE_TO_TEXT:
        return model.crop_image, np.stack
    return model.prepare_text, partial(model.pad_texts, one_length=one_length)


def repaired_preparation(
    model: TwoTower, repairs: Repairs, *, one_length: bool = False
) -> tuple[Prepare, Stack]:
    """As `query_preparation` for captions, with their repairs.

    Returns:
        string -> `FusedTexts` of one query, ids [length] and features [1]; and a function that
        makes one of a batch, queries and repairs each padded for themselves.

    Raises:
        UserError: the checkpoint has no tokenizer. When called, a caption without a repair.
    """
    tokenise, pad = query_preparation(model, TEXT_TO_IMAGE, one_length=one_length)

    def prepare(caption: str) -> FusedTexts:
        (repair,), features = repairs.lookup([caption])
        return FusedTexts(tokenise(caption), tokenise(repair), features)

    def stack(rows: list[FusedTexts]) -> FusedTexts:
        ids, repair_ids, features = (list(column) for column in zip(*rows, strict=True))
        together = FusionFeatures(*np.concatenate(features, axis=1))
        return FusedTexts(pad(ids), pad(repair_ids), together)

    return prepare, stack
