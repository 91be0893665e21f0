"""Measures one stream: embeds its queries, ranks the right answers, times the work."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from reex_jax.benchmark.streams import Stream, query_batches
from reex_jax.clip.api import Clip
from reex_jax.datasets.retrieval_set import IMAGE_TO_TEXT, TEXT_TO_IMAGE, RetrievalSet
from reex_jax.retrieval.gallery import Gallery, Items, embed_gallery
from reex_jax.retrieval.metrics import recall_interval, retrieval_metrics
from reex_jax.retrieval.ranks import ranks_of

Encoder = Callable[[Sequence[Any]], np.ndarray]


@dataclass(frozen=True)
class Timing:
    """How fast a stream went.

    Attributes:
        queries_per_s: over the whole stream, making the queries included.
        step_ms: median milliseconds of embedding and ranking one batch.
        compile_s: how much longer than that the first batch took; compilation, mostly.
    """

    queries_per_s: float
    step_ms: float
    compile_s: float


def build_gallery(clip: Clip, data: RetrievalSet, direction: str, *, progress: bool) -> Gallery:
    """Embeds the clean gallery of a direction with the source model."""
    encode: Encoder
    items: Items
    if direction == TEXT_TO_IMAGE:
        encode, items, ids, what = clip.encode_images, data.images, data.image_ids, "images"
    else:
        encode, items, ids, what = clip.encode_texts, data.captions, data.caption_ids, "captions"
    return embed_gallery(
        encode,
        items,
        ids,
        batch_size=clip.batch_size,
        describe=f"gallery: {what}",
        progress=progress,
    )


def query_encoder(clip: Clip, direction: str) -> Encoder:
    """The encoder of a direction's queries."""
    return clip.encode_images if direction == IMAGE_TO_TEXT else clip.encode_texts


def rank_stream(
    encode: Encoder, gallery: Gallery, data: RetrievalSet, stream: Stream, batch_size: int
) -> tuple[np.ndarray, Timing]:
    """Ranks of the right answers of every query, in the order of the data set.

    Returns:
        ranks [num_queries, R] int32, zero-based, -1 where a query has fewer answers; and timing.
    """
    answers = data.answers(stream.direction)
    ranks = np.full(answers.shape, -1, np.int32)
    rows = jax.device_put(gallery.embeddings)
    seconds: list[float] = []
    began = time.perf_counter()
    for positions, queries in query_batches(data, stream, batch_size):
        step_began = time.perf_counter()
        right = answers[positions]
        missing = batch_size - len(positions)
        if missing and seconds:  # keep the compiled shape; padded rows are dropped again
            right = np.pad(right, ((0, missing), (0, 0)), mode="edge")
        embedded = encode(queries)
        embedded = np.pad(embedded, ((0, len(right) - len(embedded)), (0, 0)), mode="edge")
        batch_ranks = np.asarray(ranks_of(embedded, rows, right))
        ranks[positions] = batch_ranks[: len(positions)]
        seconds.append(time.perf_counter() - step_began)
    elapsed = time.perf_counter() - began
    step = float(np.median(seconds))
    return ranks, Timing(len(ranks) / elapsed, 1e3 * step, max(0.0, seconds[0] - step))


def measure(
    encode: Encoder, gallery: Gallery, data: RetrievalSet, stream: Stream, batch_size: int
) -> dict[str, Any]:
    """All metrics of a stream, as one row of metrics.jsonl."""
    ranks, timing = rank_stream(encode, gallery, data, stream, batch_size)
    return {
        **asdict(stream),
        "num_queries": data.num_queries(stream.direction),
        "gallery_size": data.gallery_size(stream.direction),
        **retrieval_metrics(ranks),
        **recall_interval(ranks, seed=stream.seed),
        **asdict(timing),
    }
