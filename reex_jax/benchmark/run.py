"""Runs every pass of an experiment that has not been measured yet."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from reex_jax import hosts
from reex_jax.benchmark.galleries import build_gallery
from reex_jax.benchmark.identity import run_identity
from reex_jax.benchmark.methods import check_methods
from reex_jax.benchmark.passes import run_passes
from reex_jax.benchmark.prepared import Prepared
from reex_jax.benchmark.shard import Shard, list_keys
from reex_jax.datasets.load import load_data
from reex_jax.gsr.repairs import ensure_repairs, rewriter_identity
from reex_jax.models.load import load_model
from reex_jax.models.two_tower import TwoTower
from reex_jax.queries.kept import KeptPixels
from reex_jax.queries.sentences import describe_sentences, sentence_kinds
from reex_jax.queries.source import run_queries
from reex_jax.queries.streams import Stream
from reex_jax.queries.texts import text_queries
from reex_jax.redaction import redacted
from reex_jax.reporting.environment import describe_environment
from reex_jax.reporting.events import write_events
from reex_jax.reporting.live import check_wandb
from reex_jax.reporting.rows import Row, StreamKey, read_rows, stream_key
from reex_jax.reporting.run_folder import RunFolder, alone_in, open_run, run_id
from reex_jax.settings.choices import OFF
from reex_jax.settings.data import SCENES
from reex_jax.settings.experiment import Experiment


def run_benchmark(
    experiment: Experiment, arguments: Sequence[str] = (), shard: Shard | None = None
) -> tuple[RunFolder, list[Row]]:
    """Measures all methods on all streams; what an earlier, interrupted run finished is skipped.

    Args:
        experiment: every value of the run.
        arguments: the options of this command line, for commands that messages name.
        shard: which share of the whole to measure; None for all of it.

    Returns:
        the results folder and its rows, method by method, in the order of the streams.

    Raises:
        UserError: a method that cannot be made or data of which nobody said where they lie (before
            any work), or faulty data or checkpoint.
    """
    experiment.data.check_complete()
    check_methods(experiment)
    check_wandb(experiment.record.wandb)
    if experiment.runlocal:
        experiment = experiment.shrunk()
    model = load_model(
        experiment.checkpoint,
        experiment.revision or None,
        experiment.precision,
        preprocessing=experiment.data.preprocessing,
        batch_size=experiment.batch_size,
    )
    folder = _open_folder(experiment, model, arguments, shard)
    if not hosts.first():
        experiment = replace(experiment, progress=False)
    keys = list_keys(experiment, shard)
    finished = _finished(folder)
    if all(key in finished for key in keys):
        _print_finished(folder, len(keys), len(keys))
        return folder, [finished[key] for key in keys]
    with ExitStack() as stack:
        hosts.from_first(lambda: stack.enter_context(alone_in(folder)))
        finished = _finished(folder)  # a run that has just ended may have added some
        missing = [key for key in keys if key not in finished]
        _print_finished(folder, len(keys) - len(missing), len(keys))
        if missing:
            run = _prepare(experiment, model, folder, missing, arguments)
            for row in run_passes(run, set(missing)):
                finished[stream_key(row)] = row
            if hosts.first():
                write_events(folder.path, [finished[key] for key in keys])
    return folder, [finished[key] for key in keys]


def _finished(folder: RunFolder) -> dict[StreamKey, Row]:
    return hosts.from_first(lambda: {stream_key(row): row for row in read_rows(folder.metrics)})


def _print_finished(folder: RunFolder, count: int, total: int) -> None:
    if count and hosts.first():
        print(
            f"{count} of {total} streams were measured before, in {folder.path}; remove that "
            "folder to measure them again",
            flush=True,
        )


def _open_folder(
    experiment: Experiment, model: TwoTower, arguments: Sequence[str], shard: Shard | None
) -> RunFolder:
    sha256 = model.sha256
    sentences = describe_sentences(sentence_kinds(experiment), experiment.corruptions.sentences)
    rewriter = None if experiment.gsr.rewriter == OFF else rewriter_identity(experiment.gsr)
    files = [sha256, *([sentences["sha256"]] if sentences else []), *filter(None, [rewriter])]
    # Through JSON, so that tuples compare equal to the lists read back.
    plain = experiment.to_dict()
    plain["gsr"]["base_url"] = redacted(plain["gsr"]["base_url"])
    values = [plain, run_identity(experiment, files)]
    config, identity = json.loads(json.dumps(values))
    name = experiment.run_id or run_id(experiment.method, identity)
    environment = describe_environment(
        model.folder, sha256, sentences, rewriter, [redacted(word) for word in arguments]
    )
    if shard is not None:
        name, environment = name + shard.suffix, environment | {"shard": str(shard)}
    path = Path(experiment.results) / experiment.name / name
    hosts.check_same("settings, files or code", json.dumps(identity, sort_keys=True))
    return hosts.from_first(lambda: open_run(path, config, environment, identity))


def _prepare(
    experiment: Experiment,
    model: TwoTower,
    folder: RunFolder,
    missing: Sequence[StreamKey],
    arguments: Sequence[str],
) -> Prepared:
    """Reads and checks all that the passes of the missing streams may need."""
    data = load_data(experiment.data)
    hosts.check_same("data", json.dumps([data.name, *data.image_ids, *data.captions]))
    source = run_queries(experiment, data)
    directions = list(dict.fromkeys(Stream(*key[1:]).direction for key in missing))
    repairs = None
    if any(experiment.repairs(direction) for direction in directions):
        texts = text_queries(experiment, data, source)
        repairs = hosts.in_turn(
            lambda: ensure_repairs(
                experiment.gsr,
                texts,
                at_once=experiment.data.name == SCENES,
                progress=experiment.progress,
                arguments=arguments,
            )
        )
        if hosts.first():
            print(repairs.describe(), flush=True)
    galleries = {
        direction: build_gallery(model, data, direction, progress=experiment.progress)
        for direction in directions
    }
    several = len(experiment.method) > 1  # else nobody asks again
    kept = KeptPixels(2**20 * experiment.data.memory) if several else None
    return Prepared(experiment, model, data, source, galleries, folder, repairs, kept)
