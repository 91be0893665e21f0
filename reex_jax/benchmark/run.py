"""Runs every pass of an experiment that has not been measured yet."""

import json
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

import reex_jax
from reex_jax.benchmark.evaluate import build_gallery
from reex_jax.benchmark.methods import check_methods, repairs_queries
from reex_jax.benchmark.passes import Key, Setting, key_of, run_passes
from reex_jax.config import check_config, shrink
from reex_jax.datasets.load import load_data
from reex_jax.gsr.refinements import ensure_refinements, rewriter_identity
from reex_jax.gsr.settings import OFF
from reex_jax.models.clip.api import Clip, load_clip
from reex_jax.queries.sentences import describe_sentences, sentence_kinds
from reex_jax.queries.source import run_queries
from reex_jax.queries.streams import Stream, list_streams
from reex_jax.queries.texts import text_queries
from reex_jax.reporting.environment import describe_environment
from reex_jax.reporting.events import write_events
from reex_jax.reporting.run_folder import Row, RunFolder, open_run, read_rows, run_id, stream_key


def run_benchmark(config: ConfigDict, arguments: Sequence[str] = ()) -> tuple[RunFolder, list[Row]]:
    """Measures all methods on all streams; what an earlier, interrupted run finished is skipped.

    Args:
        config: every value of the run.
        arguments: the options of this command line, for commands that messages name.

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
    keys = [key_of(method, stream) for method in config.method for stream in streams]
    missing = [key for key in keys if key not in finished]
    if len(missing) < len(keys):
        print(
            f"{len(keys) - len(missing)} of {len(keys)} streams were measured before, in "
            f"{folder.path}; remove that folder to measure them again",
            flush=True,
        )
    if missing:
        setting = _prepare(config, clip, folder, missing, arguments)
        for row in run_passes(setting, set(missing)):
            finished[stream_key(row)] = row
        write_events(folder.path, [finished[key] for key in keys])
    return folder, [finished[key] for key in keys]


def _open_folder(config: ConfigDict, clip: Clip) -> RunFolder:
    # Through JSON, so that tuples compare equal to the lists read back.
    plain = json.loads(json.dumps(config.to_dict()))
    sha256 = clip.sha256
    sentences = describe_sentences(sentence_kinds(config), config.corruptions.sentences)
    rewriter = None if config.gsr.rewriter == OFF else rewriter_identity(config.gsr)
    files = [sha256, *([sentences["sha256"]] if sentences else []), *filter(None, [rewriter])]
    name = config.run_id or run_id(plain, files, reex_jax.__version__)
    environment = describe_environment(clip.folder, sha256, sentences, rewriter)
    return open_run(Path(config.results) / config.name / name, plain, environment)


def _prepare(
    config: ConfigDict,
    clip: Clip,
    folder: RunFolder,
    missing: Sequence[Key],
    arguments: Sequence[str],
) -> Setting:
    """Reads and checks all that the passes of the missing streams may need."""
    data = load_data(config.data)
    source = run_queries(config, data)
    directions = list(dict.fromkeys(Stream(*key[1:]).direction for key in missing))
    refinements = None
    if any(repairs_queries(config, direction) for direction in directions):
        refinements = ensure_refinements(config, text_queries(config, data, source), arguments)
        print(refinements.describe(), flush=True)
    galleries = {
        direction: build_gallery(clip, data, direction, progress=config.progress)
        for direction in directions
    }
    return Setting(config, clip, data, source, galleries, folder, refinements)
