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
from ml_collections import ConfigDict

from reex_jax.gsr.cache import Cache, cache_row, unique, write_part
from reex_jax.gsr.dictionary import load_dictionary
from reex_jax.gsr.offline import PassSummary
from reex_jax.gsr.rewriters import make_rewriter

_NAMESPACE = "reex_jax.gsr"
_SMALLEST, _LARGEST = 50, 1000  # queries in a batch, and so rows in a file


class RefineBatch(beam.DoFn):
    """A batch of texts through the rewriter and into the cache; counts the outcomes."""

    def __init__(self, gsr: dict[str, Any]) -> None:
        """Takes plain values, which travel to the workers; they load the rest by themselves."""
        self._gsr = gsr

    def setup(self) -> None:
        """Loads the rewriter, once for each worker."""
        gsr = ConfigDict(self._gsr)
        self._rewriter = make_rewriter(gsr, load_dictionary(gsr.captions))
        self._folder = Path(gsr.cache)

    def process(self, batch: Sequence[str]) -> Iterator[int]:
        """Yields how many answers were stored."""
        rows = []
        for refinement in self._rewriter.rewrite(batch):
            reason = "failed" if refinement.failed else refinement.reason
            Metrics.counter(_NAMESPACE, reason).inc()
            Metrics.counter(_NAMESPACE, "prompt_tokens").inc(refinement.prompt_tokens)
            Metrics.counter(_NAMESPACE, "reply_tokens").inc(refinement.reply_tokens)
            if not refinement.failed:
                rows.append(cache_row(refinement, self._rewriter.identity))
        write_part(self._folder, rows)
        yield len(rows)


def run_beam_pass(
    gsr: ConfigDict, texts: Iterable[str], runner: str, options: Sequence[str]
) -> PassSummary:
    """Asks for every text that the cache lacks, on Beam's workers.

    Args:
        gsr: `config.gsr`, checked.
        texts: queries, repeated or not.
        runner: Beam's name of it, for example "DirectRunner".
        options: Beam's further options, for example "--direct_num_workers=4".

    Returns:
        The summary of `run_pass`, without confidences.

    Raises:
        UserError: the cache cannot be read or written.
    """
    began = time.perf_counter()
    cache, wanted = Cache(Path(gsr.cache)), unique(texts)
    rewriter = make_rewriter(gsr, load_dictionary(gsr.captions))
    with cache.writer(rewriter.identity):  # makes the folder, takes over what killed passes left
        known = cache.texts(rewriter.identity)
    pending = [text for text in wanted if text not in known]
    summary = PassSummary(cached=len(wanted) - len(pending))
    if pending:
        _count(summary, _run(gsr, pending, runner, options))
    summary.seconds = time.perf_counter() - began
    return summary


def _run(gsr: ConfigDict, pending: Sequence[str], runner: str, options: Sequence[str]) -> Any:
    # A file, since a pipeline that holds its own input is too large for remote runners.
    todo = Path(gsr.cache) / f".{uuid.uuid4().hex}.todo"
    todo.write_text("".join(json.dumps(text) + "\n" for text in pending), "utf-8")
    pipeline = beam.Pipeline(options=PipelineOptions([f"--runner={runner}", *options]))
    _ = (
        pipeline
        | "read" >> beam.io.ReadFromText(str(todo))
        | "parse" >> beam.Map(json.loads)
        | "spread" >> beam.Reshuffle()
        | "batch" >> beam.BatchElements(min_batch_size=_SMALLEST, max_batch_size=_LARGEST)
        | "refine" >> beam.ParDo(RefineBatch(gsr.to_dict()))
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
