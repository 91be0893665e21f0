"""Measures one pass: adapts to its queries batch by batch, and ranks the right answers."""

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np

from reex_jax import hosts
from reex_jax.adaptation.adapter import Adapter
from reex_jax.adaptation.pending import PendingRanks
from reex_jax.benchmark.compiling import Compilations, counted_compilations
from reex_jax.benchmark.found import Asked, Found, RanksOf
from reex_jax.benchmark.rehearsal import first_rows, rehearsed
from reex_jax.benchmark.watch import Watch
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.gsr.repairs import Repairs
from reex_jax.models.two_tower import TwoTower
from reex_jax.progress import Progress
from reex_jax.queries.kept import KeptPixels
from reex_jax.queries.own import QuerySource
from reex_jax.queries.pipeline import PreparedBatch, prepared_batches
from reex_jax.queries.prepare import (
    Prepare,
    Stack,
    query_preparation,
    repaired_preparation,
)
from reex_jax.queries.streams import Pass, Stream, query_order
from reex_jax.reporting.details import StreamDetails
from reex_jax.retrieval.metrics import best_ranks, recall_interval, retrieval_metrics
from reex_jax.settings.choices import TEXT_TO_IMAGE


@dataclass(frozen=True)
class Course:
    """How a pass went.

    Attributes:
        queries_per_s: over the whole pass, making the queries included.
        step_ms: median milliseconds from the ranks of one batch to those of the next. While one
            is on its way the next is begun, unless somebody watches; where queries are made more
            slowly than adapted to, this is how long making them takes.
        loss: mean over batches, of the last step on each; batches where it is not finite do not
            count, and None says that there is no other, or that the method never learns.
        confident: mean share of queries that the method trusted; likewise.
        skipped: updates left out because they were not finite.
        restored: how often a ruined model was put back to the source.
        compile_s: seconds of tracing and compiling, or of reading compiled programs from the cache.
        late_programs: how many were compiled after the first batch; 0, unless something is wrong.
    """

    queries_per_s: float
    step_ms: float
    loss: float | None
    confident: float | None
    skipped: int
    restored: int
    compile_s: float = 0.0
    late_programs: int = 0


@dataclass(frozen=True, eq=False)
class Measured:
    """One stream's results.

    Attributes:
        stream: which.
        row: one line of metrics.jsonl, without the method.
        ranks: [num_queries] int32, zero-based rank of each query's best right answer, in the order
            of the data set; by ranking: "plain" and, unless it is off, "calibrated".
        details: what was seen on the way, if somebody watched.
    """

    stream: Stream
    row: dict[str, Any]
    ranks: dict[str, np.ndarray]
    details: StreamDetails | None = None


def measure(
    adapter: Adapter,
    model: TwoTower,
    data: RetrievalSet,
    source: QuerySource,
    one: Pass,
    positions: np.ndarray,
    *,
    batch_size: int,
    workers: int,
    progress: bool,
    repairs: Repairs | None = None,
    watch: Watch | None = None,
    kept: KeptPixels | None = None,
) -> list[Measured]:
    """Adapts to a pass from the adapter's present state; one result for each of its streams.

    Args:
        adapter: adapts and ranks; its state is changed.
        model: says how queries are prepared.
        data: the set that the queries come from.
        source: makes the queries.
        one: the pass.
        positions: [n] int64, which queries of the data set are asked.
        batch_size: queries that arrive together.
        workers: threads that prepare queries.
        progress: whether a terminal shows a bar with queries/s, loss and confident share.
        repairs: the queries' repairs, if the adapter fuses them.
        watch: looks on.
        kept: prepared images of the run, for other methods, too.
    """
    order = query_order(one, positions)
    if repairs is None:
        preparation = query_preparation(model, one.direction)
    else:
        preparation = repaired_preparation(model, repairs)
    answers = data.answers(one.direction)
    if watch is not None:
        watch.begin()
    with counted_compilations() as compiled:
        batches = made_batches(
            data, source, one.direction, order, preparation, batch_size, workers, kept
        )
        ranks, course = _adapt(
            adapter, answers, one, order, batches, batch_size, compiled, progress, watch
        )
    seen = {} if watch is None else watch.details(data.gallery_size(one.direction), ranks)
    measured = []
    for stream in one.streams:
        own = {ranking: found[stream][positions] for ranking, found in ranks.items()}
        measured.append(result_of(data, stream, own, course, seen.get(stream)))
    return measured


Order = Sequence[tuple[Stream, int]]


def made_batches(
    data: RetrievalSet,
    source: QuerySource,
    direction: str,
    order: Order,
    preparation: tuple[Prepare, Stack],
    batch_size: int,
    workers: int,
    kept: KeptPixels | None,
    *,
    whole: bool = False,
) -> Iterator[PreparedBatch]:
    """The queries in their order, made and prepared ahead of the device.

    This process's part of each batch, where it shares them with others; else `whole` ones.
    """
    prepare, stack = preparation
    ids = data.caption_ids if direction == TEXT_TO_IMAGE else data.image_ids

    def prepared(query: tuple[Stream, int]) -> Any:
        if kept is None or direction == TEXT_TO_IMAGE:
            return prepare(source(*query))
        return kept(*query, lambda: prepare(source(*query)))

    return prepared_batches(
        order,
        prepared,
        batch_size=batch_size,
        workers=workers,
        stack=stack,
        name=lambda query: f"{query[0]}, query {ids[query[1]]!r}",
        process_index=0 if whole else jax.process_index(),
        process_count=1 if whole else jax.process_count(),
    )


class _InFlight(NamedTuple):
    """A batch that was begun, and its queries."""

    asked: Asked
    ranks: PendingRanks


def _adapt(
    adapter: Adapter,
    answers: np.ndarray,
    one: Pass,
    order: Order,
    batches: Iterator[PreparedBatch],
    batch_size: int,
    compiled: Compilations,
    progress: bool,
    watch: Watch | None,
) -> tuple[RanksOf, Course]:
    """The ranks of all processes, and how the pass went."""
    found, running, seconds = Found(one.streams, answers.shape), deque[_InFlight](), list[float]()
    # A watch asks what has been learned after each batch, and not yet from the next.
    ahead = int(watch is None)

    def clock() -> float:
        return time.perf_counter() - (0.0 if watch is None else watch.aside)

    began = last = clock()

    def fetch() -> None:
        nonlocal last
        asked, pending = running.popleft()
        ranks, how = pending.fetch()
        found.add(asked, ranks, how)
        now = clock()
        seconds.append(now - last)
        last = now
        if watch is not None:
            watch.batch(asked, ranks, how)
        bar.update(min(batch_size, len(order) - bar.done))
        if adapter.learns:
            bar.notes(loss=f"{how['loss']:.3f}", confident=f"{how['confident']:.2f}")

    programs = list[int]()
    texts, columns = one.direction == TEXT_TO_IMAGE, answers.shape[1]
    batches = rehearsed(adapter, batches, len(order), batch_size, columns, texts=texts)
    last = clock()
    with Progress(len(order), unit="query", leave=False, label=str(one), shown=progress) as bar:
        for batch in batches:
            asked = [order[i] for i in batch.indices[batch.mask]]
            right = answers[[position for _, position in asked]]
            inputs = first_rows(batch.inputs, max(1, len(asked)))
            look = None if watch is None else watch.look
            running.append(_InFlight(asked, adapter.begin_ranks(inputs, right, look=look)))
            if len(running) > ahead:  # the device has the next batch before it is done with one
                fetch()
            programs.append(compiled.programs)
        while running:
            fetch()
    whole, late = clock() - began, compiled.programs - programs[0]
    course = course_of(len(order) / whole, seconds, found.diagnostics, adapter.learns)
    return _of_all(found.ranks), replace(course, compile_s=compiled.seconds, late_programs=late)


def _of_all(ranks: RanksOf) -> RanksOf:
    """The ranks that any process found."""
    return {
        ranking: {stream: hosts.gathered(own).max(axis=0) for stream, own in found.items()}
        for ranking, found in ranks.items()
    }


def course_of(
    queries_per_s: float,
    seconds: Sequence[float],
    diagnostics: Sequence[dict[str, float]],
    learns: bool,
) -> Course:
    step = float(np.median(seconds))
    return Course(
        queries_per_s=queries_per_s,
        step_ms=1e3 * step,
        loss=_mean([how["loss"] for how in diagnostics]) if learns else None,
        confident=_mean([how["confident"] for how in diagnostics]) if learns else None,
        skipped=sum(int(how["skipped"]) for how in diagnostics),
        restored=sum(int(how["restored"]) for how in diagnostics),
    )


def _mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else None


def result_of(
    data: RetrievalSet,
    stream: Stream,
    ranks: dict[str, np.ndarray],
    course: Course,
    details: StreamDetails | None = None,
) -> Measured:
    row = {
        **asdict(stream),
        "num_queries": len(ranks["plain"]),
        "gallery_size": data.gallery_size(stream.direction),
        **asdict(course),
    }
    for ranking, found in ranks.items():
        metrics = {**retrieval_metrics(found), **recall_interval(found, seed=stream.seed)}
        prefix = "" if ranking == "plain" else f"{ranking}_"
        row |= {f"{prefix}{name}": value for name, value in metrics.items()}
    best = {ranking: best_ranks(found).astype(np.int32) for ranking, found in ranks.items()}
    return Measured(stream, row, best, details)
