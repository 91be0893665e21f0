"""Recall@1 on streams that may lead an adaptation method astray, and what they leave behind.

    python -m benchmarks.stress_streams                         # the tables of docs/results.md
    python -m benchmarks.stress_streams --queries 128 --methods none reex --out stress.json
    python -m benchmarks.stress_streams --read none.json reex.json    # tables of what was measured

Image queries of scenes; tent and tcr with the settings that were tuned for them, reex with its
defaults. Prints two Markdown tables, plain / calibrated in each cell: recall@1 of the streams'
queries, and of clean queries afterwards with nothing more learned ("frozen after"). Every picture
of a stream counts once, however often it is asked for: which ones are popular was drawn at random,
and one of them would decide the number. Below the tables, what each method loses against none at
worst, with the standard error over pictures.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tabulate import tabulate
from tqdm import tqdm

from benchmarks.stress_queries import Pictures, Queries, Stress, draw_pictures, stress_streams
from reex_jax import Adapter, Clip, load_clip
from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError
from reex_jax.retrieval.metrics import best_ranks
from reex_jax.settings.choices import IMAGE_TO_TEXT
from reex_jax.settings.methods import METHODS
from reex_jax.settings.scenes import TUNED

IMAGES = 1000
"""Of the gallery, with five captions each, whatever the number of queries."""
TABLES = {"stream": "", "frozen after": "frozen_"}
RANKINGS = ("plain", "calibrated")
COLUMNS = tuple(prefix + name for prefix in TABLES.values() for name in RANKINGS)

Row = dict[str, Any]


@dataclass
class Bench:
    """What all streams share; adapters are compiled once and reset for each stream."""

    clip: Clip
    gallery: np.ndarray
    pictures: Pictures
    answers: np.ndarray
    adapters: dict[tuple[Any, ...], Adapter] = field(default_factory=dict)

    def adapter(self, method: str, stress: Stress) -> Adapter:
        """A fresh one."""
        settings = TUNED.of(method, "image").to_dict()
        if "learning_rate" in settings:
            settings["learning_rate"] *= stress.rate
        key = (method, stress.batch_size, settings.get("learning_rate"))
        if key not in self.adapters:
            self.adapters[key] = Adapter(
                self.clip,
                self.gallery,
                query="image",
                method=method,
                batch_size=stress.batch_size,
                **settings,
            )
        self.adapters[key].reset()
        return self.adapters[key]

    def measure(self, method: str, stress: Stress) -> Row:
        """The means over the stream's draws."""
        began = time.perf_counter()
        row: Row
        try:
            self.adapter(method, stress)
        except UserError:  # a rate beyond reason
            row = {"stream": stress.name, "method": method, "refused": True}
            return row | dict.fromkeys(COLUMNS) | {"hits": {name: [] for name in COLUMNS}}
        rows = [self._draw(self.adapter(method, stress), stress, one) for one in stress.draws]
        hits = {name: np.concatenate([row["hits"][name] for row in rows]) for name in COLUMNS}
        means = {name: 100 * float(own.mean()) if own.size else None for name, own in hits.items()}
        counts = {name: sum(row[name] for row in rows) for name in ("skipped", "restored")}
        seconds = time.perf_counter() - began
        row = {"stream": stress.name, "method": method, **means, **counts, "seconds": seconds}
        return row | {"hits": {name: own.tolist() for name, own in hits.items()}}

    def _draw(self, adapter: Adapter, stress: Stress, queries: Queries) -> Row:
        every = np.arange(self.pictures.count)
        ones = np.ones(len(every), bool)
        clean = Queries(np.full(len(every), "clean"), every, ones)
        asked = self._recall(adapter, queries, stress.batch_size, learn=True)
        after = self._recall(adapter, clean, stress.batch_size, learn=False)
        state = adapter.state
        hits = asked | {f"frozen_{name}": own for name, own in after.items()}
        return {"hits": hits, "skipped": int(state.skipped), "restored": int(state.restored)}

    def _recall(
        self, adapter: Adapter, queries: Queries, batch_size: int, learn: bool
    ) -> dict[str, np.ndarray]:
        """Ranking -> the share of hits of every picture that is scored."""
        pixels, hits = self.pictures.pixels(queries), {name: [] for name in RANKINGS}
        for start in range(0, len(pixels), batch_size):
            rows = slice(start, start + batch_size)
            found, _ = adapter.ranks(pixels[rows], self.answers[queries.images[rows]], learn=learn)
            for name in RANKINGS:
                hits[name].append(best_ranks(found[name]) == 0)
        images = queries.images[queries.scored]
        return {
            name: of_each(np.concatenate(own)[queries.scored], images) for name, own in hits.items()
        }


def of_each(hits: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The mean of each image's hits: [distinct images], in the order of the images."""
    _, which, times = np.unique(images, return_inverse=True, return_counts=True)
    return np.bincount(which, weights=hits, minlength=len(times)) / times


def prepare(data_seed: int, queries: int) -> Bench:
    """The bundled model with a gallery of 5,000 captions, and pictures of some of the images."""
    clip = load_clip("bundled")
    data = load_scenes(IMAGES, split="test", seed=data_seed)
    positions = np.random.default_rng(0).permutation(IMAGES)[:queries]
    pictures = draw_pictures(clip, data, positions)
    answers = data.answers(IMAGE_TO_TEXT)[positions]
    return Bench(clip, clip.encode_texts(data.captions), pictures, answers)


def measure(bench: Bench, methods: Iterable[str], draws: int, only: Sequence[str]) -> Iterator[Row]:
    """A row for every stream whose name holds a word of `only`, or for all, and every method."""
    streams = [
        stress
        for stress in stress_streams(bench.pictures, draws)
        if not only or any(word in stress.name for word in only)
    ]
    for stress in tqdm(streams, unit="stream", disable=None):
        for method in methods:
            yield bench.measure(method, stress)


def table(rows: list[Row], prefix: str) -> str:
    """Streams down, methods across; plain / calibrated."""
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        values = (row[prefix + name] for name in RANKINGS)
        shown = " / ".join("-" if value is None else f"{value:.1f}" for value in values)
        shown = "refused" if row.get("refused") else shown
        cells.setdefault(row["stream"], {})[row["method"]] = shown
    methods = list(dict.fromkeys(row["method"] for row in rows))
    lines = [[name, *(own.get(method, "") for method in methods)] for name, own in cells.items()]
    return tabulate(lines, ("stream", *methods), tablefmt="github", disable_numparse=True)


def report(rows: list[Row]) -> str:
    """Both tables, and what is lost."""
    tables = [
        f"{name}, recall@1, plain / calibrated:\n\n{table(rows, prefix)}\n"
        for name, prefix in TABLES.items()
    ]
    return "\n".join([*tables, *against_none(rows)])


def against_none(rows: list[Row]) -> list[str]:
    """What each method loses at worst, and every stream on which it loses more than one point."""
    none = {row["stream"]: row for row in rows if row["method"] == "none"}
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows if row["method"] != "none"):
        own = [row for row in rows if row["method"] == method and row["stream"] in none]
        for column in COLUMNS:
            gains = {row["stream"]: gain(row, none[row["stream"]], column) for row in own}
            known = {stream: found for stream, found in gains.items() if found}
            if known:
                worst = min(known, key=lambda stream: known[stream][0])
                shown = {s: f"{mean:+.1f} ± {error:.1f}" for s, (mean, error) in known.items()}
                below = "; ".join(f"{s} {shown[s]}" for s in known if known[s][0] < -1) or "none"
                lines.append(
                    f"{method}, {column}: worst {shown[worst]} ({worst}); below -1: {below}"
                )
    return lines


def gain(row: Row, none: Row, column: str) -> tuple[float, float] | None:
    """Points over none on the same pictures and their standard error; None if none is scored."""
    if not row["hits"][column]:  # nor where the rate was refused
        return None
    change = 100 * (np.array(row["hits"][column]) - np.array(none["hits"][column]))
    error = change.std(ddof=1) / np.sqrt(change.size) if change.size > 1 else float("nan")
    return float(change.mean()), float(error)


def main() -> None:
    """Measures every stream and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=1000, help="of each stream, 8 to 1000")
    default = ("none", "tent", "tcr", "reex")
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=default)
    parser.add_argument("--draws", type=int, default=3, help="streams averaged where few decide")
    parser.add_argument("--only", nargs="+", default=(), help="words of the streams' names")
    parser.add_argument("--data-seed", type=int, default=0, help="which scenes")
    parser.add_argument("--out", type=Path, help="write the numbers here, as JSON")
    parser.add_argument("--read", type=Path, nargs="+", help="files of --out; measures nothing")
    arguments = parser.parse_args()
    if not 8 <= arguments.queries <= IMAGES or arguments.draws < 1:
        parser.error(f"--queries must lie in 8..{IMAGES}, and --draws be at least 1")

    if arguments.read:
        files = [json.loads(file.read_text("utf-8")) for file in arguments.read]
        print(report([row for rows in files for row in rows]))
        return
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as compiled:
        # Adapters that differ in their rate alone are one program.
        jax.config.update("jax_compilation_cache_dir", compiled)
        bench = prepare(arguments.data_seed, arguments.queries)
        for row in measure(bench, arguments.methods, arguments.draws, arguments.only):
            rows.append(row)
            if arguments.out:  # after every row: a run that is stopped leaves what it has
                arguments.out.write_text(json.dumps(rows) + "\n", "utf-8")
    print(report(rows))


if __name__ == "__main__":
    main()
