"""Says how long a run will take before it starts, and how much is left while it runs."""

import time
from collections.abc import Sequence

from reex_jax import hosts
from reex_jax.benchmark.clock import Clock, Group, guessed_cost, spoken, total_queries
from reex_jax.benchmark.evaluate import Measured, measure
from reex_jax.benchmark.methods import make_adapter, method_settings
from reex_jax.benchmark.prepared import Prepared
from reex_jax.progress import Progress
from reex_jax.queries.streams import Pass, chosen_queries
from reex_jax.reporting.rows import read_rows

Work = tuple[str, str, list[Pass], list[bool]]
"""A method, a direction, its passes, and which of them are due."""

WORTH_A_TRIAL = 16
"""Passes from which a run begins with a trial of some batches; fewer are soon over."""

_TRIAL_BATCHES = 3


class Timer:
    """Counts what is done, and shows what is left."""

    def __init__(self, run: Prepared, work: Sequence[Work], bar: Progress) -> None:
        """Foretells the whole from earlier passes of the same folder, or from a trial.

        Args:
            run: what passes share.
            work: all of it.
            bar: shows the time that is left.
        """
        self.bar, self._run, self._work = bar, run, work
        self._clock = Clock(total_queries(self._due()), self._costs())
        if (
            hosts.several()
            or not run.experiment.progress
            or sum(sum(due) for *_, due in work) < WORTH_A_TRIAL
        ):
            return
        groups = self._clock.queries
        for row in read_rows(run.folder.metrics):
            if (row["method"], row["direction"]) in groups and row.get("queries_per_s"):
                group = row["method"], row["direction"]
                self._clock.known(group, 1 / row["queries_per_s"])
        known = {direction for _, direction in self._clock.seconds}
        for direction in dict.fromkeys(d for m, d in groups if groups[m, d] and d not in known):
            self._try(direction)
        self._announce()

    def done(self, method: str, one: Pass, results: Sequence[Measured]) -> None:
        """Takes a finished pass."""
        group, queries = (method, one.direction), self._queries(one)
        self._clock.known(group, 1 / results[0].row["queries_per_s"])
        self._clock.asked(group, queries)
        left = self._clock.left()
        if left is not None:
            self.bar.foretell(spoken(left) if left >= 1 else "0 s")
        self.bar.update()

    def _due(self) -> list[tuple[Group, int]]:
        return [
            ((method, direction), self._queries(one))
            for method, direction, passes, due in self._work
            for one, wanted in zip(passes, due, strict=True)
            if wanted
        ]

    def _queries(self, one: Pass) -> int:
        count = self._run.data.num_queries(one.direction)
        return len(chosen_queries(count, self._run.experiment.max_queries)) * len(one.streams)

    def _costs(self) -> dict[Group, float]:
        experiment, found = self._run.experiment, {}
        for method, direction, *_ in self._work:
            learns = experiment.behind(method).method != "none"
            steps = method_settings(experiment, method, direction)["steps"]
            fuses = experiment.fuses(method, direction)
            found[method, direction] = guessed_cost(learns, steps, fuses)
        return found

    def _try(self, direction: str) -> None:
        """Asks a few batches of the source model, and takes the time of the last ones."""
        run, experiment = self._run, self._run.experiment
        one = next(
            p
            for _, d, passes, due in self._work
            for p, wanted in zip(passes, due, strict=True)
            if d == direction and wanted
        )
        adapter = make_adapter(experiment, run.model, run.galleries[direction], "none", direction)
        positions = chosen_queries(run.data.num_queries(direction), experiment.max_queries)
        positions = positions[: _TRIAL_BATCHES * experiment.batch_size]
        for number in range(2):  # the first time compiles
            began = time.perf_counter()
            measure(
                adapter,
                run.model,
                run.data,
                run.source,
                Pass(one.streams[:1]),
                positions,
                batch_size=experiment.batch_size,
                workers=experiment.data.workers,
                progress=False,
                repairs=run.repairs if experiment.fuses("none", direction) else None,
            )
            if number:
                seconds = time.perf_counter() - began
                cost = guessed_cost(False, 0, experiment.fuses("none", direction))
                self._clock.known(("", direction), seconds / cost / len(positions))

    def _announce(self) -> None:
        left = self._clock.left()
        if left is not None:
            passes = sum(sum(due) for *_, due in self._work)
            queries = sum(self._clock.queries.values())
            print(
                f"{passes:,} passes with {queries:,} queries: about {spoken(left)}, from a first "
                "guess that gets better while they run",
                flush=True,
            )
