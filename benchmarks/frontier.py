"""Recall against the cost of a query: calibration alone, fewer updates, the last blocks only.

    python -m benchmarks.frontier --out frontier    # frontier.json, .md and .png
    python -m benchmarks.frontier --config coco_c --set data.root=/data/coco --layers 6 3 1
    python -m benchmarks.frontier --runlocal    # does it run at all

Every point is a run of ReEx (or `--method`) over the experiment's streams: 1, 2 and 3 updates a
batch with all blocks, 3 and 1 with the last K. "none" with calibrated ranking is calibration alone.
It runs twice: the first time waits for corrupted images, which all others find made.
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
MAKING = "making the queries"
"""A pass of `none` whose time is not the method's."""

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


def summary(rows: Sequence[Row], variants: Sequence[Variant], batch_size: int) -> list[Row]:
    """A point for each direction and name, with its cost and recall relative to the dearest's."""
    changes = {variant.name: dict(variant.changes) for variant in variants}
    found: list[Row] = []
    for direction in dict.fromkeys(row["direction"] for row in rows):
        for name in dict.fromkeys(row["method"] for row in rows if row["method"] != MAKING):
            own = [r for r in rows if r["direction"] == direction and r["method"] == name]
            cost = float(np.median([row["step_ms"] for row in own])) / batch_size
            point = {"direction": direction, "point": name, "ms_per_query": cost}
            point |= changes.get(name, {})
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
    """Recall over cost: a column for each direction, corrupted queries above clean ones."""
    directions = list(dict.fromkeys(point["direction"] for point in found))
    figure, panels = plt.subplots(
        2,
        len(directions),
        figsize=(5.5 * len(directions), 6.5),
        sharex="col",
        squeeze=False,
        layout="constrained",
    )
    for column, direction in zip(panels.T, directions, strict=True):
        for axes, part in zip(column, ("corrupted", "clean"), strict=True):
            own = [p for p in found if p["direction"] == direction and p[part] is not None]
            _draw_lines(axes, own, part)
            axes.set_title(f"{direction}, {part}", fontsize=10)
            axes.set_ylabel("calibrated recall@1 (%)")
            axes.grid(color="#dddddd", linewidth=0.8)
        column[0].legend(frameon=False, fontsize=8)
        column[-1].set_xlabel("ms a query; numbers: updates a batch")
    figure.savefig(file, dpi=130)
    plt.close(figure)


def _draw_lines(axes: Any, found: Sequence[Row], part: str) -> None:
    """A line for each number of blocks that adapt; what adapts none is a point by itself."""
    for last in dict.fromkeys(point.get("last_layers") for point in found):
        own = [point for point in found if point.get("last_layers") == last]
        own.sort(key=lambda point: point["ms_per_query"])
        costs, recalls = ([point[key] for point in own] for key in ("ms_per_query", part))
        label = {None: "calibration alone", 0: "all blocks"}.get(last, f"the last {last}")
        axes.plot(costs, recalls, "kD" if last is None else "o-", label=label, linewidth=1.2)
        for point, at in zip(own, zip(costs, recalls, strict=True), strict=True):
            axes.annotate(point.get("steps", ""), at, (4, 5), textcoords="offset points")


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
        method=(MAKING, NONE, *(variant.name for variant in variants)),
        variants=(Variant(MAKING, NONE), *variants),
        runlocal=arguments.runlocal,
    )
    _, rows = run_benchmark(experiment)
    found = summary([dict(row) for row in rows], variants, experiment.batch_size)
    text = table(found)
    arguments.out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    arguments.out.with_suffix(".md").write_text(text + "\n", "utf-8")
    draw(found, arguments.out.with_suffix(".png"))
    print(f"\n{text}")


if __name__ == "__main__":
    main()
