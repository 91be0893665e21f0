"""Measures one pass: adapts to its queries batch by batch, and ranks the right answers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from reex_jax.adaptation.adapter import Adapter
from reex_jax.benchmark.own_queries import QuerySource
from reex_jax.benchmark.pipeline import prepared_batches
from reex_jax.benchmark.prepare import query_preparation
from reex_jax.benchmark.streams import Pass, Stream, query_order
from reex_jax.clip.api import Clip
from reex_jax.datasets.retrieval_set import TEXT_TO_IMAGE, RetrievalSet
from reex_jax.retrieval.gallery import Gallery, Items, embed_gallery
from reex_jax.retrieval.metrics import best_ranks, recall_interval, retrieval_metrics

Encoder = Callable[[Sequence[Any]], np.ndarray]


@dataclass(frozen=True)
class Course:
    """How a pass went.

    Attributes:
        queries_per_s: over the whole pass, making the queries included.
        step_ms: median milliseconds of adapting to one batch and ranking it.
        compile_s: how much longer than that the first batch took; compilation, mostly.
        loss: mean over batches, of the last step on each.
        confident: mean share of queries that the method trusted.
        skipped: updates left out because they were not finite.
    """

    queries_per_s: float
    step_ms: float
    compile_s: float
    loss: float
    confident: float
    skipped: int


@dataclass(frozen=True, eq=False)
class Measured:
    """One stream's results.

    Attributes:
        row: one line of metrics.jsonl, without the method.
        ranks: [num_queries] int32, zero-based rank of each query's best right answer, in the order
            of the data set.
    """

    row: dict[str, Any]
    ranks: np.ndarray


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


def measure(
    adapter: Adapter,
    clip: Clip,
    data: RetrievalSet,
    source: QuerySource,
    one: Pass,
    positions: np.ndarray,
    *,
    batch_size: int,
    workers: int,
    progress: bool,
) -> list[Measured]:
    """Adapts to a pass from the adapter's present state; one result for each of its streams.

    Args:
        adapter: adapts and ranks; its state is changed.
        clip: says how queries are prepared.
        data: the set that the queries come from.
        source: makes the queries.
        one: the pass.
        positions: [n] int64, which queries of the data set are asked.
        batch_size: queries that arrive together.
        workers: threads that prepare queries.
        progress: whether a terminal shows a bar with queries/s, loss and confident share.
    """
    answers = data.answers(one.direction)
    order = query_order(one, positions)
    prepare, stack = query_preparation(clip, one.direction)
    batches = prepared_batches(
        order,
        lambda query: prepare(source(one.direction, *_corruption(query[0]), query[1])),
        batch_size=batch_size,
        workers=workers,
        stack=stack,
        name=lambda query: f"{query[0]}, query {_identity(data, query[0], query[1])!r}",
    )
    rows = {stream: np.full(answers.shape, -1, np.int32) for stream in one.streams}
    seconds, losses, confident, skipped = [], [], [], 0
    began = time.perf_counter()
    with tqdm(
        total=len(order), unit="query", leave=False, disable=None if progress else True
    ) as bar:
        for batch in batches:
            step_began = time.perf_counter()
            asked = [order[i] for i in batch.indices[batch.mask]]
            right = answers[[position for _, position in asked]]
            ranks, diagnostics = adapter.ranks(batch.inputs[: len(asked)], right)
            for (stream, position), query_ranks in zip(asked, ranks, strict=True):
                rows[stream][position] = query_ranks
            seconds.append(time.perf_counter() - step_began)
            losses.append(diagnostics["loss"])
            confident.append(diagnostics["confident"])
            skipped += int(diagnostics["skipped"])
            bar.update(len(asked))
            bar.set_postfix(loss=f"{losses[-1]:.3f}", confident=f"{confident[-1]:.2f}")
    step = float(np.median(seconds))
    course = Course(
        queries_per_s=len(order) / (time.perf_counter() - began),
        step_ms=1e3 * step,
        compile_s=max(0.0, seconds[0] - step),
        loss=float(np.mean(losses)),
        confident=float(np.mean(confident)),
        skipped=skipped,
    )
    return [_measured(data, stream, rows[stream][positions], course) for stream in one.streams]


def _corruption(stream: Stream) -> tuple[str, int, int]:
    return stream.corruption, stream.severity, stream.seed


def _identity(data: RetrievalSet, stream: Stream, position: int) -> str:
    return (data.caption_ids if stream.direction == TEXT_TO_IMAGE else data.image_ids)[position]


def _measured(data: RetrievalSet, stream: Stream, ranks: np.ndarray, course: Course) -> Measured:
    row = {
        **asdict(stream),
        "num_queries": len(ranks),
        "gallery_size": data.gallery_size(stream.direction),
        **retrieval_metrics(ranks),
        **recall_interval(ranks, seed=stream.seed),
        **asdict(course),
    }
    return Measured(row, best_ranks(ranks).astype(np.int32))
