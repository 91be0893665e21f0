"""Where queries come from: our own corruptions, or the files of published ones.

A query is a function of (direction, corruption, severity, seed, position) and of nothing else, so
it may be made in any order, in any thread, and again after an interruption.
"""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from reex_jax.corruptions.image import corrupt_image
from reex_jax.corruptions.text import corrupt_text
from reex_jax.datasets.released import ReleasedCorruptions, open_released
from reex_jax.datasets.retrieval_set import IMAGE_TO_TEXT, RetrievalSet
from reex_jax.reporting.run_folder import CLEAN

Query = Image.Image | str
QuerySource = Callable[[str, str, int, int, int], Query]
"""(direction, corruption, severity, seed, position in the data set) -> a PIL image for
image_to_text, a string for text_to_image. Safe to call from several threads."""


def query_source(
    settings: ConfigDict, data: RetrievalSet, wanted: Iterable[tuple[str, str, int]]
) -> QuerySource:
    """The queries of a run; published files are checked now, before any work.

    Args:
        settings: `config.data`, already checked.
        data: the clean set.
        wanted: (direction, corruption, severity) of every stream of the run; clean ones may be
            among them.

    Raises:
        UserError: a published folder, file or item is missing.
    """
    images, captions = settings.released_images, settings.released_captions
    if not images and not captions:
        return partial(own_query, data)
    released = open_released(
        data, wanted, preset=settings.preset, images_root=images, captions_root=captions
    )
    return partial(_released_query, data, released, bool(images), bool(captions))


def own_query(
    data: RetrievalSet, direction: str, corruption: str, severity: int, seed: int, position: int
) -> Query:
    """A query under one of our own corruptions, or a clean one."""
    if direction != IMAGE_TO_TEXT:
        caption, identity = data.captions[position], data.caption_ids[position]
        if corruption == CLEAN:
            return caption
        return corrupt_text(caption, corruption, severity, item_id=identity, seed=seed)
    image = data.images[position]
    if corruption == CLEAN:
        return image
    array = np.asarray(image.convert("RGB"))
    identity = data.image_ids[position]
    return Image.fromarray(corrupt_image(array, corruption, severity, item_id=identity, seed=seed))


def _released_query(
    data: RetrievalSet,
    released: ReleasedCorruptions,
    images: bool,
    captions: bool,
    direction: str,
    corruption: str,
    severity: int,
    seed: int,
    position: int,
) -> Query:
    """A published query where this modality was released and is not clean; else our own."""
    if corruption != CLEAN and images and direction == IMAGE_TO_TEXT:
        return released.image(corruption, severity, data.image_ids[position])
    if corruption != CLEAN and captions and direction != IMAGE_TO_TEXT:
        return released.caption(corruption, severity, data.caption_ids[position])
    return own_query(data, direction, corruption, severity, seed, position)
