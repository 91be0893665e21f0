"""Query streams: one direction under one corruption, severity and seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from reex_jax.corruptions.image import corrupt_image
from reex_jax.corruptions.text import corrupt_text
from reex_jax.datasets.retrieval_set import IMAGE_TO_TEXT, RetrievalSet
from reex_jax.reporting.run_folder import CLEAN


@dataclass(frozen=True)
class Stream:
    """One pass over all queries of a direction.

    Attributes:
        direction: "image_to_text" or "text_to_image".
        corruption: a corruption's name, or "clean".
        severity: 0 for clean.
        seed: of the corruption and of the order of the queries.
    """

    direction: str
    corruption: str
    severity: int
    seed: int

    def __str__(self) -> str:
        severity = f" {self.severity}" if self.severity else ""
        return f"{self.direction} {self.corruption}{severity} (seed {self.seed})"


def list_streams(config: ConfigDict) -> list[Stream]:
    """Every stream of an experiment, in the order in which they run."""
    streams = []
    for direction in config.directions:
        image_queries = direction == IMAGE_TO_TEXT
        kinds = config.corruptions.image if image_queries else config.corruptions.text
        for seed in config.seeds:
            if config.corruptions.clean:
                streams.append(Stream(direction, CLEAN, 0, seed))
            streams.extend(
                Stream(direction, kind, severity, seed)
                for kind in kinds
                for severity in config.corruptions.severities
            )
    return streams


def corrupted_queries(data: RetrievalSet, stream: Stream, positions: Sequence[int]) -> list[Any]:
    """The queries at `positions`: PIL images for image_to_text, strings for text_to_image."""
    if stream.direction == IMAGE_TO_TEXT:
        return [_image_query(data, stream, i) for i in positions]
    return [_text_query(data, stream, i) for i in positions]


def _image_query(data: RetrievalSet, stream: Stream, position: int) -> Image.Image:
    image = data.images[position]
    if stream.corruption == CLEAN:
        return image
    array = np.asarray(image.convert("RGB"))
    identity = data.image_ids[position]
    return Image.fromarray(
        corrupt_image(array, stream.corruption, stream.severity, item_id=identity, seed=stream.seed)
    )


def _text_query(data: RetrievalSet, stream: Stream, position: int) -> str:
    caption = data.captions[position]
    if stream.corruption == CLEAN:
        return caption
    identity = data.caption_ids[position]
    return corrupt_text(
        caption, stream.corruption, stream.severity, item_id=identity, seed=stream.seed
    )


def query_batches(
    data: RetrievalSet, stream: Stream, batch_size: int
) -> Iterator[tuple[np.ndarray, list[Any]]]:
    """Batches of a stream in its shuffled order; the last may be smaller.

    Yields:
        positions [b] int64 of the queries in the data set, and the queries themselves.
    """
    count = data.num_queries(stream.direction)
    order = np.random.default_rng(stream.seed).permutation(count)
    for start in range(0, count, batch_size):
        positions = order[start : start + batch_size]
        yield positions, corrupted_queries(data, stream, positions.tolist())
