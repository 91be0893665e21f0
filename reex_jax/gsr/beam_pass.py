"""The offline pass as an Apache Beam pipeline, for more queries than one machine should take.

Needs requirements-beam.txt. Every worker must see the cache's folder, for example on a network
file system: each batch of answers is written there as one Parquet file, as in `run_pass`. Beam may
give a batch to two workers, or again to another after a failure; the cache takes that well.
"""

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions

from reex_jax.gsr.cache import Cache, unique
from reex_jax.gsr.dictionary import load_dictionary
from reex_jax.gsr.offline import PassSummary
from reex_jax.gsr.parts import cache_row, write_part
from reex_jax.gsr.repair import FAILED
from reex_jax.gsr.rewriters import make_rewriter
from reex_jax.settings.repair import RepairSettings

_NAMESPACE = "reex_jax.gsr"
_SMALLEST, _LARGEST = 50, 1000  # queries in a batch, and so rows in a file


class RepairBatch(beam.DoFn):
    """A batch of texts through the rewriter and into the cache; counts the outcomes."""

    def __init__(self, settings: RepairSettings) -> None:
        """The settings travel to the workers; they load the rest by themselves."""
        self._settings = settings

    def setup(self) -> None:
        """Loads the rewriter, once for each worker."""
        self._rewriter = make_rewriter(self._settings, load_dictionary(self._settings.captions))
        self._folder = Path(self._settings.cache)

    def process(self, batch: Sequence[str]) -> Iterator[int]:
        """Yields how many answers were stored."""
        rows = []
        for repair in self._rewriter.rewrite(batch):
            reason = FAILED if repair.failed else repair.reason
            Metrics.counter(_NAMESPACE, reason).inc()
            Metrics.counter(_NAMESPACE, "prompt_tokens").inc(repair.prompt_tokens)
            Metrics.counter(_NAMESPACE, "reply_tokens").inc(repair.reply_tokens)
            if not repair.failed:
                rows.append(cache_row(repair, self._rewriter.identity))
        write_part(self._folder, rows)
        yield len(rows)


def run_beam_pass(
    settings: RepairSettings, texts: Iterable[str], runner: str, options: Sequence[str]
) -> PassSummary:
    """Asks for every text that the cache lacks, on Beam's workers.

    Args:
        settings: with a rewriter.
        texts: queries, repeated or not.
        runner: Beam's name of it, for example "DirectRunner".
        options: Beam's further options, for example "--direct_num_workers=4".

    Returns:
        The summary of `run_pass`, without confidences.

    Raises:
        UserError: the cache cannot be read or written.
    """
    began = time.perf_counter()
    cache, wanted = Cache(Path(settings.cache)), unique(texts)
    rewriter = make_rewriter(settings, load_dictionary(settings.captions))
    with cache.writer(rewriter.identity):  # makes the folder, takes over what killed passes left
        pending = cache.missing(rewriter.identity, wanted)
    summary = PassSummary(cached=len(wanted) - len(pending))
    if pending:
        _count(summary, _run(settings, pending, runner, options))
    summary.seconds = time.perf_counter() - began
    return summary


def _run(
    settings: RepairSettings, pending: Sequence[str], runner: str, options: Sequence[str]
) -> Any:
    # A file, since a pipeline that holds its own input is too large for remote runners.
    todo = Path(settings.cache) / f".{uuid.uuid4().hex}.todo"
    todo.write_text("".join(json.dumps(text) + "\n" for text in pending), "utf-8")
    pipeline = beam.Pipeline(options=PipelineOptions([f"--runner={runner}", *options]))
    _ = (
        pipeline
        | "read" >> beam.io.ReadFromText(str(todo))
        | "parse" >> beam.Map(json.loads)
        | "spread" >> beam.Reshuffle()
        | "batch" >> beam.BatchElements(min_batch_size=_SMALLEST, max_batch_size=_LARGEST)
        | "repair" >> beam.ParDo(RepairBatch(settings))
    )
    try:
        result = pipeline.run()
        result.wait_until_finish()
    finally:
        todo.unlink()
    return result


def _count(summary: PassSummary, result: Any) -> None:
    found = result.metrics().query(MetricsFilter().with_namespace(_NAMESPACE))["counters"]
    for counter in found:
        name, count = counter.key.metric.name, int(counter.result)
        if name in ("prompt_tokens", "reply_tokens"):
            setattr(summary, name, count)
        elif count:
            summary.reasons[name] += count
    summary.asked = summary.reasons.total()
