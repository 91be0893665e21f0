"""Recall against the cost of a query: calibration alone, fewer updates, the last blocks only.

    python -m benchmarks.frontier --out frontier    # frontier.json, .md and .png
    python -m benchmarks.frontier --config coco_c --set data.root=/data/coco --layers 6 3 1
    python -m benchmarks.frontier --runlocal    # does it run at all

Every point is a run of ReEx (or `--method`) over the experiment's streams: 1, 2 and 3 updates a
batch with all blocks, 3 and 1 with the last K. "none" with calibrated ranking is calibration alone.
Cost is the median time of adapting to a batch and ranking it, by query, without the making of
queries; recall is calibrated recall@1. Run it on a machine that does nothing else.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from tabulate import tabulate

from reex_jax.benchmark.run import run_benchmark
from reex_jax.commands.experiment_file import load_experiment
from reex_jax.settings.choices import CLEAN
from reex_jax.settings.experiment import Experiment, Variant

EXAMPLE = "experiments/scenes_c.py"
NONE = "none"

Row = dict[str, Any]


def points(method: str, steps: Iterable[int], layers: Iterable[int]) -> list[Variant]:
    """The method's variants: fewer updates, and fewer blocks with most and one update."""
    wanted = [(count, 0) for count in steps]
    wanted += [(count, last) for last in layers for count in sorted({max(steps), 1}, reverse=True)]
    return [
        Variant(_name(method, count, last), method, {"steps": count, "last_layers": last})
        for count, last in wanted
    ]


def _name(method: str, steps: int, last: int) -> str:
    blocks = f" last {last}" if last else ""
    return f"{method} {steps} step{'s' if steps > 1 else ''}{blocks}"


def summary(rows: Sequence[Row], batch_size: int) -> list[Row]:
    """A point for each direction and name, with its cost and recall relative to the dearest's."""
    found: list[Row] = []
    for direction in dict.fromkeys(row["direction"] for row in rows):
        for name in dict.fromkeys(row["method"] for row in rows):
            own = [r for r in rows if r["direction"] == direction and r["method"] == name]
            cost = float(np.median([row["step_ms"] for row in own])) / batch_size
            point = {"direction": direction, "point": name, "ms_per_query": cost}
            for part, here in (("clean", True), ("corrupted", False)):
                chosen = [r for r in own if (r["corruption"] == CLEAN) == here]
                values = [r.get("calibrated_recall@1", r["recall@1"]) for r in chosen]
                point[part] = float(np.mean(values)) if values else None
            found.append(point)
    for point in found:
        here = [p for p in found if p["direction"] == point["direction"]]
        dearest = max(here, key=lambda p: p["ms_per_query"])
        point["cost"] = point["ms_per_query"] / dearest["ms_per_query"]
        for part in ("clean", "corrupted"):
            both = (point[part], dearest[part])
            point[f"{part}_gain"] = None if None in both else both[0] - both[1]
    return found


def table(found: Sequence[Row]) -> str:
    """As Markdown."""
    heads = ["direction", "point", "ms a query", "cost", "clean", "against the dearest"]
    heads += ["corrupted", "against the dearest"]
    lines = [
        [
            point["direction"],
            point["point"],
            f"{point['ms_per_query']:.3f}",
            f"{100 * point['cost']:.0f} %",
            *(
                "" if value is None else f"{value:{sign}.1f}"
                for part in ("clean", "corrupted")
                for value, sign in ((point[part], ""), (point[f"{part}_gain"], "+"))
            ),
        ]
        for point in found
    ]
    return tabulate(lines, heads, tablefmt="github", disable_numparse=True)


def draw(found: Sequence[Row], file: Path) -> None:
    """Recall over cost, a panel for each direction."""
    directions = list(dict.fromkeys(point["direction"] for point in found))
    figure, panels = plt.subplots(
        1, len(directions), figsize=(6 * len(directions), 4.5), squeeze=False, layout="constrained"
    )
    for axes, direction in zip(panels[0], directions, strict=True):
        own = [point for point in found if point["direction"] == direction]
        for part, colour, mark in (("clean", "#4477aa", "o"), ("corrupted", "#cc6677", "D")):
            chosen = [point for point in own if point[part] is not None]
            costs, recalls = ([p[key] for p in chosen] for key in ("ms_per_query", part))
            axes.scatter(costs, recalls, color=colour, marker=mark, label=part, zorder=3)
            for point in chosen:
                at = (point["ms_per_query"], point[part])
                axes.annotate(point["point"], at, (4, 4), textcoords="offset points", fontsize=7)
        axes.set_title(direction)
        axes.set_xlabel("ms a query")
        axes.set_ylabel("calibrated recall@1 (%)")
        axes.grid(color="#dddddd", linewidth=0.8)
        axes.legend(frameon=False)
    figure.savefig(file, dpi=150)
    plt.close(figure)


def changed(experiment: Experiment, settings: Iterable[str]) -> Experiment:
    """The experiment with "key.of.setting=value" pairs in it; values are JSON, or else text."""
    for pair in settings:
        key, _, text = pair.partition("=")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        for part in reversed(key.split(".")):
            value = {part: value}
        experiment = experiment.replaced(value)
    return experiment


def main() -> None:
    """Measures every point, prints the table, and draws it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="scenes_c", help="experiment, with sweeps behind a :")
    parser.add_argument("--set", nargs="*", default=[], help="settings of it, as key=value")
    parser.add_argument("--method", default="reex")
    parser.add_argument("--steps", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--layers", nargs="*", type=int, default=[2, 1], help="last K blocks")
    parser.add_argument("--runlocal", action="store_true", help="few images, one corruption")
    parser.add_argument("--out", type=Path, default=Path("frontier"), help="files, no ending")
    arguments = parser.parse_args()

    experiment = changed(load_experiment(arguments.config, Experiment, EXAMPLE), arguments.set)
    variants = points(arguments.method, arguments.steps, arguments.layers)
    experiment = replace(
        experiment,
        name=f"{experiment.name}_frontier",
        method=(NONE, *(variant.name for variant in variants)),
        variants=tuple(variants),
        runlocal=arguments.runlocal,
    )
    _, rows = run_benchmark(experiment)
    found = summary([dict(row) for row in rows], experiment.batch_size)
    text = table(found)
    arguments.out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    arguments.out.with_suffix(".md").write_text(text + "\n", "utf-8")
    draw(found, arguments.out.with_suffix(".png"))
    print(f"\n{text}")


if __name__ == "__main__":
    main()
