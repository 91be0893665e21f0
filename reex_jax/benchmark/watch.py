"""Follows a pass batch by batch: what is learned, found and forgotten on the way.

It looks on: nothing of it changes what is learned or measured.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from reex_jax.adaptation.adapter import Adapter
from reex_jax.queries.streams import Pass, Stream
from reex_jax.reporting.details import Details, K, StreamDetails, reliability
from reex_jax.retrieval.metrics import best_ranks

Live = Callable[[int, Mapping[str, float]], None]
"""(queries so far, name -> value): where curves go while a pass runs."""

CHECKS = 6
"""How often clean queries are asked in a pass, its beginning and end included."""


@dataclass(frozen=True, eq=False)
class Probe:
    """Clean queries that are asked with the parameters of the moment, and learned from never.

    Attributes:
        inputs: as the adapter takes them, one batch.
        answers: [n, R] int32 gallery positions.
    """

    inputs: Any
    answers: np.ndarray

    def recall(self, adapter: Adapter) -> dict[str, float]:
        """Recall@1 in percent, by ranking."""
        found, _ = adapter.ranks(self.inputs, self.answers, learn=False)
        return {name: 100 * float((best_ranks(ranks) == 0).mean()) for name, ranks in found.items()}


@dataclass(eq=False)
class Watch:
    """Collects what a pass shows, for `Details` and for curves that are drawn meanwhile.

    Attributes:
        adapter: of the pass.
        one: the pass.
        batches: how many it has.
        chosen: positions in the data set of the queries that are kept as examples.
        probe: clean queries; None for none.
        live: where curves go.
        aside: seconds that looking on took, which are not the method's.
    """

    adapter: Adapter
    one: Pass
    batches: int
    chosen: frozenset[int]
    probe: Probe | None = None
    live: Live | None = None
    aside: float = 0.0
    _began: float = field(default_factory=time.perf_counter)
    _rows: list[dict[str, float]] = field(default_factory=list)
    _asked: list[tuple[Stream, int]] = field(default_factory=list)
    _first: dict[str, list[np.ndarray]] = field(default_factory=dict)
    _sure: dict[str, list[np.ndarray]] = field(default_factory=dict)
    _hits: dict[str, list[np.ndarray]] = field(default_factory=dict)
    _ends: list[int] = field(default_factory=list)
    _clean: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    _seen: jax.Array | None = None

    def begin(self) -> None:
        """Asks the clean queries before the first batch."""
        self._check_clean()

    def look(self, embeddings: jax.Array) -> None:
        """Takes the embeddings of a batch as they are ranked."""
        self._seen = embeddings  # fetched when the batch is done

    def batch(
        self,
        asked: Sequence[tuple[Stream, int]],
        ranks: Mapping[str, np.ndarray],
        how: Mapping[str, float],
    ) -> None:
        """Takes what a batch showed.

        Args:
            asked: its queries.
            ranks: by ranking, [b, R] int32.
            how: diagnostics of the adapter.
        """
        began = time.perf_counter()
        self._asked += asked
        self._ends.append(len(self._asked))
        assert self._seen is not None
        for name, (items, sure) in self.adapter.first_items(self._seen, K, how).items():
            self._first.setdefault(name, []).append(items[: len(asked)])
            self._sure.setdefault(name, []).append(sure[: len(asked)])
            self._hits.setdefault(name, []).append(best_ranks(ranks[name]) == 0)
        row = {name: float(how[name]) for name in ("skipped", "restored")}
        if self.adapter.learns:
            row |= {"loss": float(how["loss"]), "confident": float(how["confident"])}
            row["distance"] = self.adapter.distance()
        row["seconds"] = began - self._began - self.aside
        for name, hits in self._hits.items():
            first = np.concatenate(self._first[name])[:, 0]
            row[f"distinct_{name}"] = float(len(np.unique(first)))
            row[f"recall_{name}"] = 100 * float(np.concatenate(hits).mean())
        self._rows.append(row)
        done = len(self._rows)
        places = np.linspace(0, self.batches, CHECKS).round()
        if done in places:
            self._check_clean()
        if self.live is not None:
            self.live(len(self._asked), self._shown(row))
        self.aside += time.perf_counter() - began

    def _shown(self, row: Mapping[str, float]) -> dict[str, float]:
        """What curves show: the row, the rate, and clean recall where it was asked just now."""
        shown = {name: value for name, value in row.items() if name != "seconds"}
        shown["queries_per_s"] = len(self._asked) / max(row["seconds"], 1e-9)
        if self._clean and self._clean[-1][0] == len(self._asked):
            shown |= {f"clean_recall_{name}": v for name, v in self._clean[-1][1].items()}
        return shown

    def _check_clean(self) -> None:
        if self.probe is not None:
            began = time.perf_counter()
            self._clean.append((len(self._asked), self.probe.recall(self.adapter)))
            if not self._rows:  # later calls are inside of `batch`, which counts for itself
                self.aside += time.perf_counter() - began

    def details(
        self, gallery_size: int, ranks: Mapping[str, Mapping[Stream, np.ndarray]]
    ) -> Details:
        """What the report needs of each stream.

        Args:
            gallery_size: number of items.
            ranks: ranking -> stream -> [num_queries, R] int32.
        """
        first = {name: np.concatenate(parts) for name, parts in self._first.items()}
        sure = {name: np.concatenate(parts) for name, parts in self._sure.items()}
        hits = {name: np.concatenate(parts) for name, parts in self._hits.items()}
        found = {}
        for stream in self.one.streams:
            own = np.array([other == stream for other, _ in self._asked])
            positions = np.array([position for _, position in self._asked])
            ends = [int(own[:end].sum()) for end in self._ends]
            kept = np.flatnonzero(own & np.isin(positions, list(self.chosen)))
            kept = kept[np.argsort(positions[kept])]
            arrays = {"end": np.array(ends, np.int32), "examples": positions[kept].astype(np.int32)}
            for name in sorted({name for row in self._rows for name in row}):
                arrays[name] = np.array([row.get(name, np.nan) for row in self._rows], np.float32)
            for name in first:
                starts = [0, *ends[:-1]]
                inside = hits[name][own]
                arrays[f"hits_{name}"] = np.array(
                    [inside[a:b].sum() for a, b in zip(starts, ends, strict=True)], np.int32
                )
                for k in (1, K):
                    counts = np.bincount(first[name][own, :k].ravel(), minlength=gallery_size)
                    arrays[f"hubs{k}_{name}"] = counts.astype(np.uint32)
                arrays[f"reliability_{name}"] = reliability(sure[name][own], inside)
                arrays[f"example_items_{name}"] = first[name][kept].astype(np.int32)
                arrays[f"example_sure_{name}"] = sure[name][kept].astype(np.float32)
                best = [ranks[name][stream][positions[i]] for i in kept]
                arrays[f"example_rank_{name}"] = (
                    best_ranks(np.array(best)).astype(np.int32) if best else np.zeros(0, np.int32)
                )
            for number, name in enumerate(first):
                at = [(end, recalls[name]) for end, recalls in self._clean]
                arrays[f"clean_{name}"] = np.array([value for _, value in at], np.float32)
                if not number:
                    arrays["clean_at"] = np.array([end for end, _ in at], np.int32)
            found[stream] = StreamDetails(arrays)
        return found
