"""Measures passes side by side: as many at once as fit the devices, by one program."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import NamedTuple

import jax
import numpy as np

from reex_jax.adaptation.adapter import Adapter
from reex_jax.adaptation.side_by_side import Batches, Ranks, SideBySide, streams_at_once
from reex_jax.benchmark.compiling import counted_compilations
from reex_jax.benchmark.evaluate import Course, Measured, Order, course_of, made_batches, result_of
from reex_jax.benchmark.found import Asked, Found, RanksOf
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.gsr.repairs import Repairs
from reex_jax.models.two_tower import TwoTower
from reex_jax.progress import Progress
from reex_jax.queries.kept import KeptPixels
from reex_jax.queries.own import QuerySource
from reex_jax.queries.pipeline import PreparedBatch
from reex_jax.queries.prepare import Stack, query_preparation, repaired_preparation
from reex_jax.queries.streams import Pass, Stream, query_order


def measure_together(
    adapter: Adapter,
    model: TwoTower,
    data: RetrievalSet,
    source: QuerySource,
    passes: Sequence[Pass],
    positions: np.ndarray,
    *,
    batch_size: int,
    workers: int,
    progress: bool,
    streams: int,
    devices: int,
    repairs: Repairs | None = None,
    kept: KeptPixels | None = None,
) -> Iterator[list[Measured]]:
    """Adapts to passes of one direction, each from the source model; the results of each in turn.

    Tells other processes nothing, and asks nothing of them.

    Args:
        adapter: lends weights, gallery and method.
        model, data, source, positions, batch_size, workers, progress, repairs, kept: see
            `evaluate.measure`.
        passes: none of which carries over from another.
        streams: passes at once on each device; 0 for as many as its memory holds.
        devices: how many adapt different passes; 0 for all of this process.
    """
    if not passes:
        return
    direction = passes[0].direction
    answers = data.answers(direction)
    if repairs is None:
        prepare, stack = query_preparation(model, direction)
    else:
        prepare, stack = repaired_preparation(model, repairs)

    def opened(order: Order, threads: int) -> Iterator[PreparedBatch]:
        """Batches whose inputs are lists of single queries, to be stacked over all passes."""
        preparation = (prepare, list)
        return made_batches(
            data, source, direction, order, preparation, batch_size, threads, kept, whole=True
        )

    there = jax.local_devices()[: devices or None]
    orders = [query_order(one, positions) for one in passes]
    if not streams:
        one = _joined([next(opened(orders[0][:batch_size], 0))], orders[:1], answers, stack)
        streams = streams_at_once(adapter, one.batches, len(passes), there)
    together = SideBySide(adapter, streams, there)
    threads = max(1, workers // together.count) if workers else 0
    for start in range(0, len(passes), together.count):
        group = slice(start, start + together.count)
        batches = [opened(order, threads) for order in orders[group]]
        every, own = passes[group], orders[group]
        with counted_compilations() as compiled:
            found = _adapt(together, every, own, batches, answers, stack, adapter.learns, progress)
        for ranks, course in found:
            course = replace(course, compile_s=compiled.seconds)
            yield [_result(data, stream, ranks, positions, course) for stream in ranks["plain"]]


class _Joined(NamedTuple):
    """One batch of every pass, and the (stream, position) of its real queries by pass."""

    batches: Batches
    asked: list[Asked]


def _result(
    data: RetrievalSet, stream: Stream, ranks: RanksOf, positions: np.ndarray, course: Course
) -> Measured:
    asked = {ranking: found[stream][positions] for ranking, found in ranks.items()}
    return result_of(data, stream, asked, course)


def _adapt(
    together: SideBySide,
    passes: Sequence[Pass],
    orders: Sequence[Order],
    batches: Sequence[Iterator[PreparedBatch]],
    answers: np.ndarray,
    stack: Stack,
    learns: bool,
    progress: bool,
) -> list[tuple[RanksOf, Course]]:
    """The ranks of every pass, see `evaluate`, and how it went."""
    together.start([one.streams[0].seed for one in passes])
    found = [Found(one.streams, answers.shape) for one in passes]
    seconds: list[float] = []
    total, label = sum(map(len, orders)), f"{len(passes)} passes side by side"
    began = last = time.perf_counter()
    with Progress(total, unit="query", leave=False, label=label, shown=progress) as bar:
        running: list[tuple[list[Asked], Ranks]] = []

        def fetch() -> None:
            nonlocal last
            asked, ranks = running.pop(0)
            for own, queries, (by_ranking, how) in zip(found, asked, ranks.fetch(), strict=False):
                if queries:  # one that has ended says nothing
                    own.add(queries, by_ranking, how)
            active = sum(map(bool, asked))
            now = time.perf_counter()
            seconds.append((now - last) / active)
            last = now
            bar.update(sum(map(len, asked)))

        for parts in zip_longest(*batches):
            joined = _joined(parts, orders, answers, stack)
            running.append((joined.asked, together.ranks(joined.batches)))
            if len(running) > 1:  # the next batches come to the device while it works
                fetch()
        while running:
            fetch()
    rate = total / (time.perf_counter() - began)
    return [(own.ranks, course_of(rate, seconds, own.diagnostics, learns)) for own in found]


def _joined(
    parts: Sequence[PreparedBatch | None],
    orders: Sequence[Order],
    answers: np.ndarray,
    stack: Stack,
) -> _Joined:
    """One batch for all passes; those that have ended get the queries of another, as padding."""
    some = next(part for part in parts if part is not None)
    inputs = stack([row for part in parts for row in (part or some).inputs])
    shape = (len(parts), len(some.mask))
    mask = np.stack([np.zeros_like(some.mask) if part is None else part.mask for part in parts])
    right = np.full((*shape, answers.shape[1]), -1, np.int32)
    asked: list[Asked] = []
    for own, part, order in zip(right, parts, orders, strict=True):
        queries = [] if part is None else [order[i] for i in part.indices[part.mask]]
        own[: len(queries)] = answers[[position for _, position in queries]]
        asked.append(queries)
    inputs = jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), inputs)
    active = np.array([bool(queries) for queries in asked])
    return _Joined(Batches(inputs, mask, active, right), asked)
