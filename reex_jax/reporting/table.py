"""Tables of a run for people: Markdown that also reads well in a terminal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from reex_jax.errors import UserError
from reex_jax.reporting.run_folder import CLEAN, Row

_TITLES = {
    "image_to_text": "Image queries, caption gallery",
    "text_to_image": "Caption queries, image gallery",
}
_METRICS = {"recall@1": "R@1", "recall@5": "R@5", "recall@10": "R@10", "mAP": "mAP"}
MEAN = "mean of corruptions"


def protocol_line(config: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """What a reader must know to compare the numbers: data, protocol, seeds, preprocessing."""
    sizes = {r["direction"]: (r["num_queries"], r["gallery_size"]) for r in rows}
    queries = "; ".join(f"{d}: {q} queries, gallery of {n}" for d, (q, n) in sizes.items())
    # From the rows: --config.runlocal runs fewer seeds than the configuration lists.
    levels = sorted({r["severity"] for r in rows if r["corruption"] != CLEAN})
    severities = ", ".join(map(str, levels)) or "none"
    seeds = ", ".join(str(s) for s in sorted({r["seed"] for r in rows}))
    adaptation = "not adapted" if config["method"] == "none" else "adapted"
    return (
        f"experiment {config['name']}, method {config['method']} ({adaptation}); {queries}; "
        f"severities {severities}; seeds {seeds}; preprocessing {config['data']['preprocessing']}; "
        "recall and mAP in percent"
    )


def _mean_and_spread(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.1f}"
    return f"{mean} ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else mean


def _cells(rows: Sequence[Row]) -> list[str]:
    """One line of a table: each metric's mean over seeds, and its spread if there are several."""
    r1 = _mean_and_spread([r["recall@1"] for r in rows])
    if len(rows) == 1:
        r1 += f" [{rows[0]['recall@1_low']:.1f}, {rows[0]['recall@1_high']:.1f}]"
    others = [_mean_and_spread([r[m] for r in rows]) for m in list(_METRICS)[1:]]
    return [r1, *others, _mean_and_spread([r["median_rank"] for r in rows])]


def _mean_cells(rows: Sequence[Row]) -> list[str]:
    """The line of means over all corruptions: averaged within each seed, then over seeds."""
    seeds = sorted({r["seed"] for r in rows})

    def by_seed(metric: str) -> list[float]:
        return [float(np.mean([r[metric] for r in rows if r["seed"] == s])) for s in seeds]

    return [_mean_and_spread(by_seed(m)) for m in (*_METRICS, "median_rank")]


def method_table(rows: Sequence[Row]) -> str:
    """One Markdown table a direction: a line for each corruption, and their mean.

    Recall@1 carries its 95 % bootstrap interval with one seed, the standard deviation over seeds
    with several.

    Args:
        rows: lines of metrics.jsonl of one method.

    Raises:
        UserError: rows of several methods; their mean would mean nothing.
    """
    methods = sorted({r["method"] for r in rows})
    if len(methods) > 1:
        raise UserError(
            f"rows of several methods ({', '.join(methods)}); use comparison_table for these"
        )
    return _tables(rows, [*_METRICS.values(), "median rank"], _cells, _mean_cells)


def comparison_table(rows: Sequence[Row]) -> str:
    """Recall@1 of several methods, a Markdown table a direction: a line for each corruption.

    A column for each method, so that width grows with methods and not with the 16 corruptions;
    a dash where a method has no result. With several seeds, mean ± standard deviation over them.

    Args:
        rows: lines of metrics.jsonl, of any number of methods.
    """
    methods = list(dict.fromkeys(r["method"] for r in rows))

    def cells(same: Sequence[Row]) -> list[str]:
        found = [[r["recall@1"] for r in same if r["method"] == m] for m in methods]
        return [_mean_and_spread(values) if values else "-" for values in found]

    def mean_cells(corrupted: Sequence[Row]) -> list[str]:
        return [_mean_recall(corrupted, m) for m in methods]

    return _tables(rows, methods, cells, mean_cells, measure=", R@1")


Cells = Callable[[Sequence[Row]], list[str]]


def _tables(
    rows: Sequence[Row], columns: Sequence[str], cells: Cells, mean_cells: Cells, measure: str = ""
) -> str:
    """A Markdown table a direction: a line for each corruption and severity, then their mean.

    `cells` fills the line of the rows of one corruption, `mean_cells` that of all corrupted rows.
    """
    parts = []
    for direction in dict.fromkeys(r["direction"] for r in rows):
        own = [r for r in rows if r["direction"] == direction]
        lines = []
        for corruption, severity in dict.fromkeys((r["corruption"], r["severity"]) for r in own):
            same = [r for r in own if (r["corruption"], r["severity"]) == (corruption, severity)]
            label = corruption if corruption == CLEAN else f"{corruption} {severity}"
            lines.append([label, *cells(same)])
        corrupted = [r for r in own if r["corruption"] != CLEAN]
        if corrupted:
            lines.append([MEAN, *mean_cells(corrupted)])
        table = tabulate(
            lines,
            ["corruption", *columns],
            tablefmt="github",
            disable_numparse=True,
            colalign=["left"] + len(columns) * ["right"],
        )
        parts.append(f"{_TITLES[direction]} ({direction}){measure}\n\n{table}")
    return "\n\n".join(parts)


def _mean_recall(corrupted: Sequence[Row], method: str) -> str:
    """A dash unless the method has every corruption: means over different ones do not compare."""
    own = [r for r in corrupted if r["method"] == method]
    streams = {(r["corruption"], r["severity"]) for r in corrupted}
    if {(r["corruption"], r["severity"]) for r in own} != streams:
        return "-"
    return _mean_cells(own)[0]
