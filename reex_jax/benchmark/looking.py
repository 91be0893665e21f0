"""Whatever looks on while a run works: curves, clean queries, examples."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from reex_jax import hosts
from reex_jax.adaptation.adapter import Adapter
from reex_jax.benchmark.evaluate import Measured
from reex_jax.benchmark.examples import Examples, example_positions
from reex_jax.benchmark.prepared import Prepared
from reex_jax.benchmark.watch import Probe, Watch
from reex_jax.queries.prepare import query_preparation, repaired_preparation
from reex_jax.queries.streams import Pass, Stream, chosen_queries
from reex_jax.reporting.live import Curves
from reex_jax.settings.choices import CLEAN


@dataclass(eq=False)
class Onlooker:
    """Makes the watch of each pass, and writes what it saw.

    Attributes:
        run: what passes share.
        curves: where they go while a pass runs.
        examples: of the results folder.
    """

    run: Prepared
    curves: Curves
    examples: Examples
    _probes: dict[tuple[str, bool], Probe] = field(default_factory=dict)

    @contextmanager
    def watch(self, adapter: Adapter, method: str, one: Pass) -> Iterator[Watch | None]:
        """The watch of one pass; None where nothing is to be kept.

        Several processes that share a batch see a part of it each, so none of them looks on.
        """
        experiment = self.run.experiment
        if not experiment.record.details or hosts.several():
            yield None
            return
        asked = len(self._positions(one)) * len(one.streams)
        batches = -(-asked // experiment.batch_size)
        count = self.run.data.num_queries(one.direction)
        chosen = [example_positions(experiment, stream, count) for stream in one.streams]
        probe = self._probe(adapter, method, one)
        with self.curves.of(method, one.streams[-1]) as live:
            yield Watch(adapter, one, batches, frozenset().union(*chosen), probe, live)

    def keep(self, method: str, result: Measured) -> None:
        """Writes what was seen of a stream; before its row, which says that all of it is there."""
        if result.details is None:
            return
        folder, stream = self.run.folder, result.stream
        result.details.save(folder.details({"method": method} | vars(stream)))
        gallery = self.run.galleries[stream.direction].embeddings
        self.examples.keep(stream, result.details, np.asarray(gallery))

    def _positions(self, one: Pass) -> np.ndarray:
        count = self.run.data.num_queries(one.direction)
        return chosen_queries(count, self.run.experiment.max_queries)

    def _probe(self, adapter: Adapter, method: str, one: Pass) -> Probe | None:
        """Clean queries of the direction, for the first seed of a method that learns."""
        run, experiment = self.run, self.run.experiment
        stream = one.streams[0]
        most = min(experiment.record.clean_queries, experiment.batch_size)
        fuses = experiment.fuses(method, one.direction)
        # Clean captions have repairs only where they are queries of the run.
        known = experiment.corruptions.clean or not fuses
        if not (most and adapter.learns and known and stream.seed == experiment.seeds[0]):
            return None
        key = one.direction, fuses
        if key not in self._probes:
            if fuses and run.repairs is not None:
                prepare, stack = repaired_preparation(run.model, run.repairs)
            else:
                prepare, stack = query_preparation(run.model, one.direction)
            positions = self._positions(one)[:most]
            clean = Stream(one.direction, CLEAN, 0, stream.seed)
            inputs = stack([prepare(run.source(clean, int(p))) for p in positions])
            answers = run.data.answers(one.direction)[positions]
            self._probes[key] = Probe(inputs, answers)
        return self._probes[key]
