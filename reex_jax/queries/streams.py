"""Query streams, and the passes in which a method sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reex_jax.settings.choices import CLEAN
from reex_jax.settings.experiment import Experiment


@dataclass(frozen=True)
class Stream:
    """All queries of a direction under one corruption.

    Attributes:
        direction: "image_to_text" or "text_to_image".
        corruption: a corruption's name, or "clean".
        severity: 0 for clean.
        seed: of the corruption and of the order of the queries.
    """

    direction: str
    corruption: str
    severity: int
    seed: int

    def __str__(self) -> str:
        severity = f" {self.severity}" if self.severity else ""
        return f"{self.direction} {self.corruption}{severity} (seed {self.seed})"


@dataclass(frozen=True)
class Pass:
    """Queries that arrive one after the other while a method adapts.

    Attributes:
        streams: one, or several of one direction and seed whose queries are mixed.
        carries_over: whether the method goes on from where the pass before ended; else it starts
            from the source model.
    """

    streams: tuple[Stream, ...]
    carries_over: bool = False

    @property
    def direction(self) -> str:
        """The direction that all its streams share."""
        return self.streams[0].direction

    def __str__(self) -> str:
        if len(self.streams) == 1:
            return str(self.streams[0])
        first = self.streams[0]
        return f"{first.direction} {len(self.streams)} corruptions mixed (seed {first.seed})"


def list_streams(experiment: Experiment) -> list[Stream]:
    """Every stream of an experiment, in the order in which they run."""
    corruptions, streams = experiment.corruptions, []
    for direction in experiment.directions:
        for seed in experiment.seeds:
            if corruptions.clean:
                streams.append(Stream(direction, CLEAN, 0, seed))
            streams.extend(
                Stream(direction, kind, severity, seed)
                for kind in experiment.kinds(direction)
                for severity in experiment.severities(kind)
            )
    return streams


def list_passes(streams: Sequence[Stream], protocol: str) -> list[Pass]:
    """How a method sees the streams.

    Args:
        streams: from `list_streams`.
        protocol: "reset" (each from the source model), "continual" (what was learned carries over
            from corruption to corruption) or "mixed" (every batch draws from all corruptions).
            Clean queries are a pass of their own, and each direction and seed starts afresh.
    """
    if protocol == "reset":
        return [Pass((stream,)) for stream in streams]
    groups: dict[tuple[str, int, bool], list[Stream]] = {}
    for stream in streams:
        key = (stream.direction, stream.seed, stream.corruption == CLEAN)
        groups.setdefault(key, []).append(stream)
    if protocol == "mixed":
        return [Pass(tuple(group)) for group in groups.values()]
    return [Pass((s,), carries_over=s is not group[0]) for group in groups.values() for s in group]


def chosen_queries(count: int, max_queries: int) -> np.ndarray:
    """Which queries of a direction are asked: [n] int64 positions, the same for every seed.

    Args:
        count: how many there are.
        max_queries: a random choice of so many; 0 for all.
    """
    if not 0 < max_queries < count:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:max_queries])


def query_order(one: Pass, positions: np.ndarray) -> list[tuple[Stream, int]]:
    """The queries of a pass in their shuffled order: (stream, position in the data set).

    The order of a single stream depends on the seed and the number of queries alone, so every
    corruption shows them in the same order.
    """
    count = len(positions)
    order = np.random.default_rng(one.streams[0].seed).permutation(count * len(one.streams))
    return [(one.streams[i // count], int(positions[i % count])) for i in order.tolist()]
