"""Queries under our own corruptions.

A query is a function of (direction, corruption, severity, seed, position) and of nothing else, so
it may be made in any order, in any thread, and again after an interruption.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from reex_jax.corruptions.image.kinds import corrupt_image
from reex_jax.corruptions.text.kinds import corrupt_text
from reex_jax.corruptions.text.sentences import SentenceRewrites
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.settings.choices import CLEAN, IMAGE_TO_TEXT

Query = Image.Image | str
QuerySource = Callable[[str, str, int, int, int], Query]
"""(direction, corruption, severity, seed, position in the data set) -> a PIL image for
image_to_text, a string for text_to_image. Safe to call from several threads."""


def own_query(
    data: RetrievalSet,
    direction: str,
    corruption: str,
    severity: int,
    seed: int,
    position: int,
    sentences: SentenceRewrites | None = None,
) -> Query:
    """A query under one of our own corruptions, or a clean one.

    `sentences` is where sentence kinds look up their texts; for the rest see `QuerySource`.
    """
    if direction != IMAGE_TO_TEXT:
        caption, identity = data.captions[position], data.caption_ids[position]
        if corruption == CLEAN:
            return caption
        return corrupt_text(
            caption, corruption, severity, item_id=identity, seed=seed, sentences=sentences
        )
    if corruption == CLEAN:
        return data.images[position]
    return Image.fromarray(corrupted_array(data, corruption, severity, seed, position))


def corrupted_array(
    data: RetrievalSet, corruption: str, severity: int, seed: int, position: int
) -> np.ndarray:
    """A corrupted image as uint8 [h, w, 3]; the clean one of any mode becomes RGB first."""
    array = np.asarray(data.images[position].convert("RGB"))
    identity = data.image_ids[position]
    return corrupt_image(array, corruption, severity, item_id=identity, seed=seed)
