"""Runs every pass of an experiment of which a stream has not been measured yet."""

import logging
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from reex_jax import hosts
from reex_jax.adaptation.adapter import Adapter
from reex_jax.benchmark.evaluate import Measured, measure
from reex_jax.benchmark.examples import Examples
from reex_jax.benchmark.looking import Onlooker
from reex_jax.benchmark.methods import make_adapter
from reex_jax.benchmark.prepared import Prepared
from reex_jax.benchmark.shard import key_of, list_work
from reex_jax.benchmark.timer import Timer
from reex_jax.benchmark.together import measure_together
from reex_jax.benchmark.watch import Watch
from reex_jax.errors import UserError
from reex_jax.progress import Progress
from reex_jax.queries.streams import Pass, Stream, chosen_queries
from reex_jax.reporting.environment import peak_memory_mb
from reex_jax.reporting.live import Curves
from reex_jax.reporting.rows import Row, StreamKey
from reex_jax.reporting.run_folder import RunFolder
from reex_jax.settings.choices import STREAMS

_log = logging.getLogger(__name__)


def run_passes(run: Prepared, missing: AbstractSet[StreamKey]) -> Iterator[Row]:
    """Measures every pass with a missing stream; writes and yields these one after the other."""
    experiment = run.experiment
    work = [
        (
            method,
            direction,
            own,
            hosts.from_first(partial(passes_due, run.folder, method, own, missing)),
        )
        for method, direction, own in list_work(experiment)
    ]
    with (
        closing(
            Curves(run.folder, experiment.to_dict(), experiment.record.wandb and hosts.first())
        ) as curves,
        Progress(sum(sum(due) for *_, due in work), unit="pass", shown=experiment.progress) as bar,
    ):
        timer = Timer(run, work, bar)
        onlooker = Onlooker(run, curves, Examples(run))
        for method, direction, own, due in work:
            if any(due):
                gallery = run.galleries[direction]
                adapter = make_adapter(experiment, run.model, gallery, method, direction)
                adapted = _together if experiment.adapt.layout == STREAMS else _adapted
                for result in adapted(run, adapter, method, own, due, onlooker, timer):
                    if key_of(method, result.stream) in missing:
                        onlooker.keep(method, result)
                        yield _written(run, method, result)


def passes_due(
    folder: RunFolder, method: str, passes: Sequence[Pass], missing: AbstractSet[StreamKey]
) -> list[bool]:
    """Which passes of a method must run, in their order.

    Those with a missing stream; and, if such a one carries over from a pass whose checkpoint is
    gone, that pass too.
    """
    due = [any(key_of(method, stream) in missing for stream in one.streams) for one in passes]
    for number in range(len(passes) - 1, 0, -1):
        if due[number] and passes[number].carries_over and not due[number - 1]:
            due[number - 1] = not _end(folder, method, passes[number - 1]).exists()
    return due


def _end(folder: RunFolder, method: str, one: Pass) -> Path:
    """The checkpoint of what a method had learned when a pass ended."""
    return folder.checkpoint(method, one.streams[-1])


def _adapted(
    run: Prepared,
    adapter: Adapter,
    method: str,
    passes: Sequence[Pass],
    due: Sequence[bool],
    onlooker: Onlooker,
    timer: Timer,
) -> Iterator[Measured]:
    """The passes of one method and direction that are due; each from where it must start."""
    for number, one in enumerate(passes):
        if due[number]:
            timer.bar.label(f"{method} {one}")
            if not one.carries_over:
                adapter.reset(seed=one.streams[0].seed)
            elif not due[number - 1]:
                _go_on(run, adapter, method, passes, number - 1)
            with onlooker.watch(adapter, method, one) as watch:
                results = _measure(run, adapter, method, one, watch)
            timer.done(method, one, results)
            # Before the rows: these say that all of a stream is there.
            if number + 1 < len(passes) and passes[number + 1].carries_over:
                _save(run, adapter, method, one)
            yield from results


def _together(
    run: Prepared,
    adapter: Adapter,
    method: str,
    passes: Sequence[Pass],
    due: Sequence[bool],
    onlooker: Onlooker,
    timer: Timer,
) -> Iterator[Measured]:
    """As `_adapted`, several passes at once; nothing looks on then.

    Of several processes each measures every so manieth pass, and tells the others.
    """
    wanted = [one for one, is_due in zip(passes, due, strict=True) if is_due]
    timer.bar.label(f"{method} {wanted[0].direction}, side by side")
    adapt = run.experiment.adapt
    count = run.data.num_queries(wanted[0].direction)
    positions = chosen_queries(count, run.experiment.max_queries)
    own = measure_together(
        adapter,
        run.model,
        run.data,
        run.source,
        wanted[jax.process_index() :: jax.process_count()],
        positions,
        streams=adapt.streams,
        devices=adapt.devices,
        **_how(run, method, wanted[0].direction),
    )
    for results in hosts.in_turns(own):
        yield from results
        timer.done(method, Pass(tuple(one.stream for one in results)), results)


def _how(run: Prepared, method: str, direction: str) -> dict[str, Any]:
    """How queries are made, whatever the layout."""
    experiment = run.experiment
    return {
        "batch_size": experiment.batch_size,
        "workers": experiment.data.workers,
        "progress": experiment.progress,
        "repairs": run.repairs if experiment.fuses(method, direction) else None,
        "kept": run.kept,
    }


def _save(run: Prepared, adapter: Adapter, method: str, one: Pass) -> None:
    adapter.save(hosts.from_first(lambda: _end(run.folder, method, one)))


def _measure(
    run: Prepared, adapter: Adapter, method: str, one: Pass, watch: Watch | None = None
) -> list[Measured]:
    experiment = run.experiment
    return measure(
        adapter,
        run.model,
        run.data,
        run.source,
        one,
        chosen_queries(run.data.num_queries(one.direction), experiment.max_queries),
        **_how(run, method, one.direction),
        watch=watch,
    )


def _go_on(run: Prepared, adapter: Adapter, method: str, passes: Sequence[Pass], last: int) -> None:
    """Puts the adapter where it was when a pass ended; where its checkpoint is damaged, by doing
    that pass again."""
    end = hosts.from_first(lambda: _end(run.folder, method, passes[last]))
    try:
        adapter.restore(end)
    except UserError as error:
        if hosts.first():
            _log.warning("%s; what was learned until then is learned again", error)
        if passes[last].carries_over:
            _go_on(run, adapter, method, passes, last - 1)
        else:
            adapter.reset(seed=passes[last].streams[0].seed)
        _measure(run, adapter, method, passes[last])


def _written(run: Prepared, method: str, result: Measured) -> Row:
    row = {"method": method, **result.row, "peak_memory_mb": round(peak_memory_mb(), 1)}
    if not hosts.first():
        return row
    for ranking, ranks in result.ranks.items():  # before the row, as above
        np.save(run.folder.ranks(row, ranking), ranks)
    run.folder.append(row)
    if run.experiment.progress:
        tqdm.write(_summary(row, result.stream))
    return row


def _summary(row: Row, stream: Stream) -> str:
    loss, confident = row["loss"], row["confident"]
    course = "" if loss is None else f"  loss {loss:.3f}"
    course += "" if confident is None else f"  confident {confident:.2f}"
    skipped = f"  {row['skipped']} updates skipped" if row["skipped"] else ""
    skipped += f"  compiled {row['compile_s']:.1f} s" if row["compile_s"] >= 0.05 else ""
    skipped += f"  put back to the source {row['restored']} times" if row["restored"] else ""
    calibrated = row.get("calibrated_recall@1")
    course = ("" if calibrated is None else f"  calibrated {calibrated:.1f}") + course
    return (
        f"{row['method']} {stream}: R@1 {row['recall@1']:.1f}  R@10 {row['recall@10']:.1f}"
        f"{course}  ({row['queries_per_s']:.0f} queries/s){skipped}"
    )
