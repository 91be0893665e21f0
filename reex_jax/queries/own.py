"""Queries under our own corruptions.

A query is a function of its stream and position and of nothing else, so it may be made in any
order, in any thread, and again after an interruption.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from reex_jax.corruptions.image.kinds import corrupt_image
from reex_jax.corruptions.text.kinds import corrupt_text
from reex_jax.corruptions.text.sentences import SentenceRewrites
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.queries.streams import Stream
from reex_jax.settings.choices import CLEAN, IMAGE_TO_TEXT

Query = Image.Image | str
QuerySource = Callable[[Stream, int], Query]
"""(stream, position in the data set) -> a PIL image for image_to_text, a string for text_to_image.
Safe to call from several threads."""


def own_query(
    data: RetrievalSet, stream: Stream, position: int, sentences: SentenceRewrites | None = None
) -> Query:
    """A query under one of our own corruptions, or a clean one.

    `sentences` is where sentence kinds look up their texts; for the rest see `QuerySource`.
    """
    if stream.direction == IMAGE_TO_TEXT:
        if stream.corruption == CLEAN:
            return data.images[position]
        return Image.fromarray(corrupted_array(data, stream, position))
    caption = data.captions[position]
    if stream.corruption == CLEAN:
        return caption
    return corrupt_text(
        caption,
        stream.corruption,
        stream.severity,
        item_id=data.caption_ids[position],
        seed=stream.seed,
        sentences=sentences,
    )


def corrupted_array(data: RetrievalSet, stream: Stream, position: int) -> np.ndarray:
    """A corrupted image as uint8 [h, w, 3]; the clean one of any mode becomes RGB first."""
    array = np.asarray(data.images[position].convert("RGB"))
    identity = data.image_ids[position]
    return corrupt_image(
        array, stream.corruption, stream.severity, item_id=identity, seed=stream.seed
    )
