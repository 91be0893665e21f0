"""Several methods side by side: a table, and whether their differences could be chance."""

from collections.abc import Mapping, Sequence

import numpy as np
from tabulate import tabulate

from reex_jax.reporting.rows import Row
from reex_jax.reporting.run_folder import RunFolder
from reex_jax.reporting.table import MEAN, TITLES, mean_and_spread, means_by_seed, values_of
from reex_jax.retrieval.metrics import paired_bootstrap
from reex_jax.settings.choices import CLEAN

# Short names, so that sixteen columns fit; those of the tables in the field's papers.
_SHORT = {
    "gaussian_noise": "gauss",
    "shot_noise": "shot",
    "impulse_noise": "impul",
    "speckle_noise": "speck",
    "defocus_blur": "defoc",
    "glass_blur": "glass",
    "motion_blur": "motion",
    "zoom_blur": "zoom",
    "brightness": "brit",
    "contrast": "contr",
    "elastic_transform": "elast",
    "pixelate": "pixel",
    "jpeg_compression": "jpeg",
    "keyboard": "keyb",
    "synonym_replacement": "synon",
    "word_insertion": "w-ins",
    "word_swap": "w-swap",
    "word_deletion": "w-del",
    "punctuation_insertion": "punct",
    "back_translation": "backtr",
}


def comparison_table(rows: Sequence[Row]) -> str:
    """Recall@1 of several methods, a Markdown table a direction: a line for each method.

    A column for each corruption and severity, then their mean; a dash where a method has no
    result. With several seeds, mean±standard deviation over them; the mean over corruptions is
    taken within each seed first.

    Args:
        rows: lines of metrics.jsonl, of any number of methods.
    """
    parts = []
    for direction in dict.fromkeys(r["direction"] for r in rows):
        own = [r for r in rows if r["direction"] == direction]
        streams = list(dict.fromkeys((r["corruption"], r["severity"]) for r in own))
        lines = [
            [method, *_line([r for r in own if r["method"] == method], streams)]
            for method in dict.fromkeys(r["method"] for r in own)
        ]
        severities = {severity for corruption, severity in streams if corruption != CLEAN}
        heads = [_head(*stream, several=len(severities) > 1) for stream in streams]
        table = tabulate(
            lines,
            ["method", *heads, MEAN],
            tablefmt="github",
            disable_numparse=True,
            colalign=["left"] + (len(heads) + 1) * ["right"],
        )
        parts.append(f"{TITLES[direction]} ({direction}), R@1\n\n{table}")
    return "\n\n".join(parts)


def short_name(corruption: str) -> str:
    """What heads a column of a wide table."""
    return _SHORT.get(corruption, corruption)


def _head(corruption: str, severity: int, several: bool) -> str:
    name = short_name(corruption)
    return f"{name} {severity}" if several and corruption != CLEAN else name


def _line(own: Sequence[Row], streams: Sequence[tuple[str, int]]) -> list[str]:
    found = [
        values_of([r for r in own if (r["corruption"], r["severity"]) == stream], "recall@1")
        for stream in streams
    ]
    cells = [mean_and_spread(values, "±") if values else "-" for values in found]
    corrupted = [r for r in own if r["corruption"] != CLEAN]
    # Means over different corruptions do not compare.
    means = means_by_seed(corrupted, "recall@1") if all(found) else []
    return [*cells, mean_and_spread(means, "±")]


def significance(folder: RunFolder, rows: Sequence[Row]) -> str:
    """How the best method's mean over the corruptions differs from every other's.

    A query is the unit of the paired bootstrap: its hits are averaged over corruptions and seeds
    first, because the same picture under two corruptions is not two independent queries.

    Args:
        folder: holds the ranks of every stream.
        rows: lines of metrics.jsonl, of any number of methods.

    Returns:
        Lines of text, one a direction and method; empty for fewer than two methods.

    Raises:
        UserError: ranks cannot be read.
    """
    lines = []
    for direction in dict.fromkeys(r["direction"] for r in rows):
        hits = hits_by_query(folder, [r for r in rows if r["direction"] == direction])
        if len(hits) < 2:
            continue
        best = max(hits, key=lambda method: hits[method].mean())
        for method in hits:
            if method != best:
                gain, p = paired_difference(hits[best], hits[method])
                lines.append(
                    f"{direction}: {best} - {method} = {gain:+.2f} points of mean R@1, p = {p:.4f}"
                )
    return "\n".join(lines)


def paired_difference(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """By how many points of mean R@1 the first is better, and the paired bootstrap's p.

    Args:
        first, second: [num_queries] share of hits, see `hits_by_query`.
    """
    points = 100 * float(first.mean() - second.mean())
    return points, paired_bootstrap(first, second, seed=0, resamples=10_000)


def hits_by_query(folder: RunFolder, rows: Sequence[Row]) -> Mapping[str, np.ndarray]:
    """Method -> each query's share of hits over all corruptions and seeds: [num_queries] float64.

    Clean queries do not count, and methods that lack a stream of another are left out.

    Args:
        folder: holds the ranks of every stream.
        rows: lines of metrics.jsonl of one direction, of any number of methods.
    """
    corrupted = [r for r in rows if r["corruption"] != CLEAN]
    streams = {
        method: {_stream(r) for r in corrupted if r["method"] == method}
        for method in dict.fromkeys(r["method"] for r in corrupted)
    }
    complete = [m for m, own in streams.items() if own == set.union(*streams.values())]
    return {
        method: np.mean(
            [folder.read_ranks(r) == 0 for r in corrupted if r["method"] == method], axis=0
        )
        for method in complete
    }


def _stream(row: Row) -> tuple[str, int, int]:
    return row["corruption"], row["severity"], row["seed"]
