"""Tables of a run for people: Markdown that also reads well in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from reex_jax.errors import UserError
from reex_jax.reporting.rows import Row
from reex_jax.settings.choices import CLEAN

TITLES = {
    "image_to_text": "Image queries, caption gallery",
    "text_to_image": "Caption queries, image gallery",
}
_METRICS = {"recall@1": "R@1", "recall@5": "R@5", "recall@10": "R@10", "mAP": "mAP"}
MEAN = "mean of corruptions"


def protocol_line(config: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """What a reader must know to compare the numbers: data, protocol, seeds, preprocessing."""
    sizes = {r["direction"]: (r.get("num_queries", "?"), r.get("gallery_size", "?")) for r in rows}
    queries = "; ".join(f"{d}: {q} queries, gallery of {n}" for d, (q, n) in sizes.items())
    # From the rows: --config.runlocal runs fewer seeds than the configuration lists.
    levels = sorted({r["severity"] for r in rows if r["corruption"] != CLEAN})
    severities = ", ".join(map(str, levels)) or "none"
    seeds = ", ".join(str(s) for s in sorted({r["seed"] for r in rows}))
    return (
        f"experiment {config['name']}, {', '.join(config['method'])}; {queries}; "
        f"{_adaptation(config, list(sizes))}; {_repairs(config, list(sizes))}"
        f"severities {severities}; seeds {seeds}; preprocessing {config['data']['preprocessing']}; "
        "recall and mAP in percent"
    )


def _adaptation(config: Mapping[str, Any], directions: Sequence[str]) -> str:
    batches = f"batches of {config['batch_size']}"
    if set(config["method"]) == {"none"}:
        return f"not adapted, {batches}"
    adapt = config["adapt"]
    queries = ["image" if direction == "image_to_text" else "text" for direction in directions]
    parameters = dict.fromkeys(f"{q} queries {adapt[f'{q}_parameters']}" for q in queries)
    changed = [
        f"{variant['name']} is {variant['method']} with "
        + (" ".join(f"{name}={value}" for name, value in variant["changes"].items()) or "no change")
        for variant in config["variants"]
        if variant["name"] in config["method"]
    ]
    return "; ".join(
        [
            f"stream {adapt['stream']}, score {adapt['score']}, {adapt['steps']} steps a batch, "
            f"{batches}, adapting {', '.join(parameters)}",
            *changed,
        ]
    )


def _repairs(config: Mapping[str, Any], directions: Sequence[str]) -> str:
    gsr = config.get("gsr", {})
    if not gsr.get("rewriter") or "text_to_image" not in directions:
        return ""
    by = " ".join(filter(None, (gsr["rewriter"], gsr["model"])))
    return f"text queries repaired by {by}, fused by {gsr['fusion']}; "


def skipped_lines(rows: Sequence[Row]) -> str:
    """Which methods had updates that were left out as not finite, a line each; "" if none had."""
    lines = []
    for method in dict.fromkeys(r["method"] for r in rows):
        own = [r for r in rows if r["method"] == method]
        hurt = [r for r in own if r.get("skipped")]
        undone = sum(r.get("restored") or 0 for r in own)
        if undone:
            lines.append(
                f"{method}: a ruined model was put back to the source {undone} times "
                '("restored" in metrics.jsonl)'
            )
        if hurt:
            lines.append(
                f"{method}: updates were skipped because they were not finite, in {len(hurt)} of "
                f'{len(own)} streams ("skipped" in metrics.jsonl)'
            )
    return "\n".join(lines)


def mean_and_spread(values: Sequence[float], sign: str = " ± ") -> str:
    """Mean, and the standard deviation of the sample where there are several values.

    A dash without any: rows of an earlier version lack the metrics that came later.
    """
    if not len(values):
        return "-"
    mean = f"{np.mean(values):.1f}"
    return f"{mean}{sign}{np.std(values, ddof=1):.1f}" if len(values) > 1 else mean


def means_by_seed(rows: Sequence[Row], metric: str) -> list[float]:
    """The mean of a metric over corruptions, one for each seed in rising order.

    None at all unless every corruption has the metric for every seed: means over different
    corruptions do not compare.
    """
    seeds = sorted({r["seed"] for r in rows})
    streams = {(r["corruption"], r["severity"]) for r in rows}
    measured = {
        (r["corruption"], r["severity"], r["seed"]) for r in rows if r.get(metric) is not None
    }
    if len(measured) < len(streams) * len(seeds):
        return []
    return [
        float(np.mean(values_of([r for r in rows if r["seed"] == seed], metric))) for seed in seeds
    ]


def values_of(rows: Sequence[Row], metric: str) -> list[float]:
    """A metric of every row that has it."""
    return [row[metric] for row in rows if row.get(metric) is not None]


def _cells(rows: Sequence[Row]) -> list[str]:
    """One line of a table: each metric's mean over seeds, and its spread if there are several."""
    r1 = mean_and_spread(values_of(rows, "recall@1"))
    if len(rows) == 1 and values_of(rows, "recall@1_low"):
        r1 += f" [{rows[0]['recall@1_low']:.1f}, {rows[0]['recall@1_high']:.1f}]"
    names = (*list(_METRICS)[1:], "median_rank")
    return [r1, *(mean_and_spread(values_of(rows, name)) for name in names)]


def _mean_cells(rows: Sequence[Row]) -> list[str]:
    """The line of means over all corruptions: averaged within each seed, then over seeds.

    A dash for a metric that a corruption lacks in some seed.
    """
    return [mean_and_spread(means_by_seed(rows, m)) for m in (*_METRICS, "median_rank")]


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
    columns = [*_METRICS.values(), "median rank"]
    parts = []
    for direction in dict.fromkeys(r["direction"] for r in rows):
        own = [r for r in rows if r["direction"] == direction]
        lines = []
        for corruption, severity in dict.fromkeys((r["corruption"], r["severity"]) for r in own):
            same = [r for r in own if (r["corruption"], r["severity"]) == (corruption, severity)]
            label = corruption if corruption == CLEAN else f"{corruption} {severity}"
            lines.append([label, *_cells(same)])
        corrupted = [r for r in own if r["corruption"] != CLEAN]
        if corrupted:
            lines.append([MEAN, *_mean_cells(corrupted)])
        table = tabulate(
            lines,
            ["corruption", *columns],
            tablefmt="github",
            disable_numparse=True,
            colalign=["left"] + len(columns) * ["right"],
        )
        parts.append(f"{TITLES[direction]} ({direction})\n\n{table}")
    return "\n\n".join(parts)
