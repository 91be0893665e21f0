"""Sums what runs kept of their streams, over seeds and corruptions, without holding all at once."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from reex_jax.reporting.benchmark_table import MEAN
from reex_jax.reporting.details import BINS, K, StreamDetails, load_details
from reex_jax.reporting.joined import Results
from reex_jax.reporting.table_export import column_name
from reex_jax.settings.choices import CLEAN

RANKINGS = ("plain", "calibrated")


@dataclass(eq=False)
class Sum:
    """Of some streams of one method and ranking.

    Attributes:
        streams: how many.
        hits, asked: [batches], of the queries of each batch.
        ends: [batches], queries until then.
        clean: queries until then -> recalls of clean queries.
        distance: [batches], sums.
        bins: [BINS, 3], see `reliability`.
        hubs: [items], how often the most, second most, ... retrieved item was among the first ten.
        never: items that no stream's first ten had, summed over streams.
    """

    streams: int = 0
    hits: np.ndarray = field(default_factory=lambda: np.zeros(0))
    asked: np.ndarray = field(default_factory=lambda: np.zeros(0))
    ends: np.ndarray = field(default_factory=lambda: np.zeros(0))
    distance: np.ndarray = field(default_factory=lambda: np.zeros(0))
    clean: dict[int, list[float]] = field(default_factory=dict)
    bins: np.ndarray = field(default_factory=lambda: np.zeros((BINS, 3)))
    hubs: np.ndarray = field(default_factory=lambda: np.zeros(0))
    never: float = 0.0

    def add(self, details: StreamDetails, ranking: str) -> None:
        """Adds a stream; what it lacks adds nothing."""
        hits, end = details.get(f"hits_{ranking}"), details.get("end")
        if hits is None or end is None:
            return
        self.streams += 1
        asked = np.diff(end, prepend=0)
        self.hits, self.asked = _sum(self.hits, hits), _sum(self.asked, asked)
        self.ends = end if len(end) > len(self.ends) else self.ends
        distance = details.get("distance")
        if distance is not None:
            self.distance = _sum(self.distance, np.nan_to_num(distance))
        at, clean = details.get("clean_at"), details.get(f"clean_{ranking}")
        if at is not None and clean is not None:
            for place, value in zip(at.tolist(), clean.tolist(), strict=False):
                self.clean.setdefault(place, []).append(value)
        bins, hubs = details.get(f"reliability_{ranking}"), details.get(f"hubs{K}_{ranking}")
        if bins is not None:
            self.bins = self.bins + bins
        if hubs is not None:
            self.hubs = _sum(self.hubs, np.sort(hubs)[::-1])
            self.never += float((hubs == 0).sum())


def _sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    size = max(len(a), len(b))
    return np.pad(a.astype(float), (0, size - len(a))) + np.pad(b, (0, size - len(b)))


Key = tuple[str, str, str, str]
"""(direction, corruption's column or MEAN, method, ranking)."""


@dataclass(eq=False)
class Gathered:
    """All sums of a group of folders.

    Attributes:
        sums: by key.
        missing: streams without details, as in folders of earlier versions.
        notes: on damaged files.
    """

    sums: dict[Key, Sum] = field(default_factory=dict)
    missing: int = 0
    notes: list[str] = field(default_factory=list)

    def of(self, direction: str, column: str) -> Iterator[tuple[str, str, Sum]]:
        """(method, ranking, sum) of what a plot shows."""
        for (own, kind, method, ranking), found in self.sums.items():
            if (own, kind) == (direction, column) and found.streams:
                yield method, ranking, found


def gather(results: Results) -> Gathered:
    """Reads the details of every row."""
    found = Gathered()
    for row in results.rows:
        try:
            details = load_details(results.home(row).details(row))
        except ValueError as error:
            found.notes.append(str(error))
            continue
        if details is None:
            found.missing += 1
            continue
        columns = [column_name((row["corruption"], row["severity"]))]
        columns += [MEAN] if row["corruption"] != CLEAN else []
        for ranking in RANKINGS:
            for column in columns:
                key = (row["direction"], column, row["method"], ranking)
                found.sums.setdefault(key, Sum()).add(details, ranking)
    return found
