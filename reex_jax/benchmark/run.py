"""Runs every stream of an experiment that has not been measured yet."""

import json
from collections.abc import Iterator
from pathlib import Path

from ml_collections import ConfigDict
from tqdm import tqdm

import reex_jax
from reex_jax.benchmark.evaluate import build_gallery, measure, query_encoder
from reex_jax.benchmark.streams import Stream, list_streams
from reex_jax.clip.api import Clip, load_clip
from reex_jax.clip.checkpoint import checkpoint_sha256
from reex_jax.config import check_config, shrink
from reex_jax.datasets.load import load_data
from reex_jax.reporting.environment import describe_environment, peak_memory_mb
from reex_jax.reporting.events import write_events
from reex_jax.reporting.run_folder import Row, RunFolder, open_run, read_rows, run_id, stream_key


def run_benchmark(config: ConfigDict) -> tuple[RunFolder, list[Row]]:
    """Measures all streams; those that an earlier, interrupted run finished are skipped.

    Returns:
        the results folder and its rows, in the order of the streams.

    Raises:
        UserError: an impossible configuration (before any work), or faulty data or checkpoint.
    """
    check_config(config)
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
    keys = [stream_key({"method": config.method} | vars(s)) for s in streams]
    pending = [s for s, key in zip(streams, keys, strict=True) if key not in finished]
    if len(pending) < len(streams):
        print(
            f"{len(streams) - len(pending)} of {len(streams)} streams were measured before, in "
            f"{folder.path}; remove that folder to measure them again",
            flush=True,
        )
    if pending:
        for row in _measured(config, clip, pending):
            folder.append(row)
            finished[stream_key(row)] = row
        write_events(folder.path, [finished[key] for key in keys])
    return folder, [finished[key] for key in keys]


def _open_folder(config: ConfigDict, clip: Clip) -> RunFolder:
    # Through JSON, so that tuples compare equal to the lists read back.
    plain = json.loads(json.dumps(config.to_dict()))
    sha256 = checkpoint_sha256(clip.folder)
    name = config.run_id or run_id(plain, sha256, reex_jax.__version__)
    environment = describe_environment(clip.folder, sha256)
    return open_run(Path(config.results) / config.name / name, plain, environment)


def _measured(config: ConfigDict, clip: Clip, streams: list[Stream]) -> Iterator[Row]:
    """One row of metrics.jsonl after the other."""
    data = load_data(config.data)
    galleries = {
        direction: build_gallery(clip, data, direction, progress=config.progress)
        for direction in dict.fromkeys(s.direction for s in streams)
    }
    bar = tqdm(streams, unit="stream", disable=None if config.progress else True)
    for stream in bar:
        bar.set_description(str(stream))
        encode = query_encoder(clip, stream.direction)
        row = measure(encode, galleries[stream.direction], data, stream, config.batch_size)
        row = {"method": config.method, **row, "peak_memory_mb": round(peak_memory_mb(), 1)}
        if config.progress:
            tqdm.write(
                f"{stream}: R@1 {row['recall@1']:.1f}  R@10 {row['recall@10']:.1f}  "
                f"({row['queries_per_s']:.0f} queries/s)"
            )
        yield row
