"""Recall@1 on streams that may lead an adaptation method astray, and what they leave behind.

    python -m benchmarks.stress_streams                         # the tables of docs/results.md
    python -m benchmarks.stress_streams --queries 128 --methods none reex --out stress.json

Image queries of scenes; tent and tcr with the settings that were tuned for them, reex with its
defaults. Prints two Markdown tables, plain / calibrated in each cell: recall@1 of the streams'
queries, and of clean queries afterwards with nothing more learned ("frozen after"). Below them,
what each method loses against none at worst.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
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
from reex_jax.retrieval.metrics import best_ranks
from reex_jax.settings.choices import IMAGE_TO_TEXT
from reex_jax.settings.methods import METHODS
from reex_jax.settings.scenes import TUNED

IMAGES = 1000
"""Of the gallery, with five captions each, whatever the number of queries."""
TABLES = {"stream": "", "frozen after": "frozen_"}
RANKINGS = ("plain", "calibrated")

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
        rows = [self._draw(self.adapter(method, stress), stress, one) for one in stress.draws]
        means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        seconds = time.perf_counter() - began
        return {"stream": stress.name, "method": method, **means, "seconds": seconds}

    def _draw(self, adapter: Adapter, stress: Stress, queries: Queries) -> Row:
        every = np.arange(self.pictures.count)
        ones = np.ones(len(every), bool)
        clean = Queries(np.full(len(every), "clean"), every, ones)
        asked = self._recall(adapter, queries, stress.batch_size, learn=True)
        after = self._recall(adapter, clean, stress.batch_size, learn=False)
        state = adapter.state
        return {
            **asked,
            **{f"frozen_{name}": value for name, value in after.items()},
            "skipped": int(state.skipped),
            "restored": int(state.restored),
        }

    def _recall(
        self, adapter: Adapter, queries: Queries, batch_size: int, learn: bool
    ) -> dict[str, float]:
        """Ranking -> recall@1 of the scored queries in percent; NaN if there are none."""
        pixels, hits = self.pictures.pixels(queries), {name: [] for name in RANKINGS}
        for start in range(0, len(pixels), batch_size):
            rows = slice(start, start + batch_size)
            found, _ = adapter.ranks(pixels[rows], self.answers[queries.images[rows]], learn=learn)
            for name in RANKINGS:
                hits[name].append(best_ranks(found[name]) == 0)
        if not queries.scored.any():
            return dict.fromkeys(RANKINGS, float("nan"))
        joined = {name: np.concatenate(own)[queries.scored] for name, own in hits.items()}
        return {name: 100 * float(own.mean()) for name, own in joined.items()}


def prepare(data_seed: int, queries: int) -> Bench:
    """The bundled model with a gallery of 5,000 captions, and pictures of some of the images."""
    clip = load_clip("bundled")
    data = load_scenes(IMAGES, split="test", seed=data_seed)
    positions = np.random.default_rng(0).permutation(IMAGES)[:queries]
    pictures = draw_pictures(clip, data, positions)
    answers = data.answers(IMAGE_TO_TEXT)[positions]
    return Bench(clip, clip.encode_texts(data.captions), pictures, answers)


def measure(bench: Bench, methods: Iterable[str], draws: int) -> Iterator[Row]:
    """A row for every stream and method."""
    for stress in tqdm(list(stress_streams(bench.pictures, draws)), unit="stream", disable=None):
        for method in methods:
            yield bench.measure(method, stress)


def table(rows: list[Row], prefix: str) -> str:
    """Streams down, methods across; plain / calibrated."""
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        values = (row[prefix + name] for name in RANKINGS)
        shown = " / ".join("-" if np.isnan(value) else f"{value:.1f}" for value in values)
        cells.setdefault(row["stream"], {})[row["method"]] = shown
    methods = list(dict.fromkeys(row["method"] for row in rows))
    lines = [[name, *(own.get(method, "") for method in methods)] for name, own in cells.items()]
    return tabulate(lines, ("stream", *methods), tablefmt="github", disable_numparse=True)


def against_none(rows: list[Row]) -> list[str]:
    """What each method loses at worst, and every stream on which it loses more than one point."""
    none = {row["stream"]: row for row in rows if row["method"] == "none"}
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows if row["method"] != "none"):
        own = [row for row in rows if row["method"] == method and row["stream"] in none]
        for column in [prefix + name for prefix in TABLES.values() for name in RANKINGS]:
            gains = _gains(own, none, column)
            if gains:
                worst = min(gains, key=gains.__getitem__)
                below = "; ".join(f"{s} {g:+.1f}" for s, g in gains.items() if g < -1) or "none"
                lines.append(
                    f"{method}, {column}: worst {gains[worst]:+.1f} ({worst}); below -1: {below}"
                )
    return lines


def _gains(own: list[Row], none: Mapping[str, Row], column: str) -> dict[str, float]:
    gains = {row["stream"]: row[column] - none[row["stream"]][column] for row in own}
    return {stream: gain for stream, gain in gains.items() if not np.isnan(gain)}


def _json(rows: list[Row]) -> str:
    """No NaN, which JSON does not know."""
    plain = [{k: None if v != v else v for k, v in row.items()} for row in rows]
    return json.dumps(plain, indent=1) + "\n"


def main() -> None:
    """Measures every stream and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=1000, help="of each stream, 8 to 1000")
    default = ("none", "tent", "tcr", "reex")
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=default)
    parser.add_argument("--draws", type=int, default=3, help="streams averaged where few decide")
    parser.add_argument("--data-seed", type=int, default=0, help="which scenes")
    parser.add_argument("--out", type=Path, help="write the numbers here, as JSON")
    arguments = parser.parse_args()
    if not 8 <= arguments.queries <= IMAGES or arguments.draws < 1:
        parser.error(f"--queries must lie in 8..{IMAGES}, and --draws be at least 1")

    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as compiled:
        # Adapters that differ in their rate alone are one program.
        jax.config.update("jax_compilation_cache_dir", compiled)
        bench = prepare(arguments.data_seed, arguments.queries)
        for row in measure(bench, arguments.methods, arguments.draws):
            rows.append(row)
            if arguments.out:  # after every row: a run that is stopped leaves what it has
                arguments.out.write_text(_json(rows), "utf-8")
    for name, prefix in TABLES.items():
        print(f"{name}, recall@1, {arguments.queries} queries, plain / calibrated:\n")
        print(f"{table(rows, prefix)}\n")
    print("\n".join(against_none(rows)))


if __name__ == "__main__":
    main()
