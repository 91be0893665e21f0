"""Runs every pass of an experiment that has not been measured yet."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

import reex_jax
from reex_jax.adaptation.adapter import Adapter
from reex_jax.benchmark.evaluate import Measured, build_gallery, measure
from reex_jax.benchmark.methods import check_methods, make_adapter
from reex_jax.benchmark.own_queries import QuerySource
from reex_jax.benchmark.queries import query_source
from reex_jax.benchmark.streams import Pass, Stream, chosen_queries, list_passes, list_streams
from reex_jax.clip.api import Clip, load_clip
from reex_jax.clip.checkpoint import checkpoint_sha256
from reex_jax.config import check_config, shrink
from reex_jax.datasets.load import load_data
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.reporting.environment import describe_environment, peak_memory_mb
from reex_jax.reporting.events import write_events
from reex_jax.reporting.run_folder import Row, RunFolder, open_run, read_rows, run_id, stream_key
from reex_jax.retrieval.gallery import Gallery


@dataclass(frozen=True, eq=False)
class Setting:
    """What all passes of a run share."""

    config: ConfigDict
    clip: Clip
    data: RetrievalSet
    source: QuerySource
    galleries: dict[str, Gallery]
    folder: RunFolder


def run_benchmark(config: ConfigDict) -> tuple[RunFolder, list[Row]]:
    """Measures all methods on all streams; what an earlier, interrupted run finished is skipped.

    Returns:
        the results folder and its rows, method by method, in the order of the streams.

    Raises:
        UserError: an impossible configuration (before any work), or faulty data or checkpoint.
    """
    check_config(config)
    check_methods(config)
    if config.runlocal:
        config = shrink(config)
    clip = load_clip(
        config.checkpoint,
        config.revision or None,
        config.precision,
        preprocessing=config.data.preprocessing,
        batch_size=config.batch_size,
    )
    folder = _open_folder(config, clip)
    finished = {stream_key(row): row for row in read_rows(folder.metrics)}
    streams = list_streams(config)
    keys = [_key(method, stream) for method in config.method for stream in streams]
    missing = [key for key in keys if key not in finished]
    if len(missing) < len(keys):
        print(
            f"{len(keys) - len(missing)} of {len(keys)} streams were measured before, in "
            f"{folder.path}; remove that folder to measure them again",
            flush=True,
        )
    if missing:
        for row in _measured(_prepare(config, clip, folder, streams), set(missing)):
            finished[stream_key(row)] = row
        write_events(folder.path, [finished[key] for key in keys])
    return folder, [finished[key] for key in keys]


def _key(method: str, stream: Stream) -> tuple[object, ...]:
    return stream_key({"method": method} | vars(stream))


def _open_folder(config: ConfigDict, clip: Clip) -> RunFolder:
    # Through JSON, so that tuples compare equal to the lists read back.
    plain = json.loads(json.dumps(config.to_dict()))
    sha256 = checkpoint_sha256(clip.folder)
    name = config.run_id or run_id(plain, sha256, reex_jax.__version__)
    environment = describe_environment(clip.folder, sha256)
    return open_run(Path(config.results) / config.name / name, plain, environment)


def _prepare(
    config: ConfigDict, clip: Clip, folder: RunFolder, streams: Sequence[Stream]
) -> Setting:
    data = load_data(config.data)
    wanted = [(s.direction, s.corruption, s.severity) for s in streams]
    source = query_source(config.data, data, wanted)
    galleries = {
        direction: build_gallery(clip, data, direction, progress=config.progress)
        for direction in config.directions
    }
    return Setting(config, clip, data, source, galleries, folder)


def _measured(setting: Setting, missing: set[tuple[object, ...]]) -> Iterator[Row]:
    """Measures every pass with a missing stream; writes and yields one row after the other."""
    config = setting.config
    passes = list_passes(list_streams(config), config.adapt.stream)
    work = [
        (method, direction, [p for p in passes if p.direction == direction])
        for method in config.method
        for direction in config.directions
    ]
    total = sum(len(own) for _, _, own in work)
    with tqdm(total=total, unit="pass", disable=None if config.progress else True) as bar:
        for method, direction, own in work:
            pending = [any(_key(method, s) in missing for s in p.streams) for p in own]
            if any(pending):
                adapter = make_adapter(
                    config, setting.clip, setting.galleries[direction], method, direction
                )
                yield from _run_passes(setting, adapter, method, own, pending, bar)
            else:
                bar.update(len(own))


def _run_passes(
    setting: Setting,
    adapter: Adapter,
    method: str,
    passes: Sequence[Pass],
    pending: Sequence[bool],
    bar: tqdm,
) -> Iterator[Row]:
    """The passes of one method and direction, in order; finished ones are skipped."""
    config = setting.config
    for number, one in enumerate(passes):
        bar.set_description(f"{method} {one}")
        goes_on = number + 1 < len(passes) and passes[number + 1].carries_over
        kept = setting.folder.checkpoint(method, one.streams[-1])
        if pending[number]:
            if not one.carries_over:
                adapter.reset()
            elif not pending[number - 1]:
                adapter.restore(setting.folder.checkpoint(method, passes[number - 1].streams[-1]))
            results = measure(
                adapter,
                setting.clip,
                setting.data,
                setting.source,
                one,
                chosen_queries(setting.data.num_queries(one.direction), config.max_queries),
                batch_size=config.batch_size,
                workers=config.data.workers,
                progress=config.progress,
            )
            if goes_on:
                adapter.save(kept)
            for result in results:
                yield _written(setting, method, result)
        bar.update()


def _written(setting: Setting, method: str, result: Measured) -> Row:
    row = {"method": method, **result.row, "peak_memory_mb": round(peak_memory_mb(), 1)}
    # Ranks first: a line in metrics.jsonl says that all of its stream is there.
    np.save(setting.folder.ranks(row), result.ranks)
    setting.folder.append(row)
    if setting.config.progress:
        stream = Stream(row["direction"], row["corruption"], row["severity"], row["seed"])
        tqdm.write(
            f"{method} {stream}: R@1 {row['recall@1']:.1f}  R@10 {row['recall@10']:.1f}  "
            f"loss {row['loss']:.3f}  confident {row['confident']:.2f}  "
            f"({row['queries_per_s']:.0f} queries/s)"
            + (f"  {row['skipped']} updates skipped" if row["skipped"] else "")
        )
    return row
