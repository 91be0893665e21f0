"""What an ablation found: a line for each level and direction, as CSV and as Markdown tables."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tabulate import tabulate

from reex_jax.reporting.comparison import hits_by_query, paired_difference
from reex_jax.reporting.rows import Row
from reex_jax.reporting.run_folder import RunFolder
from reex_jax.reporting.table import means_by_seed
from reex_jax.settings.choices import CLEAN

REFERENCES = "method"
"""The group of whole methods, which the levels of all other groups are read against."""

CSV_COLUMNS = (
    "group",
    "label",
    "variant",
    "direction",
    "recall@1",
    "sd",
    "difference",
    "p",
    "calibrated",
    "seeds",
    "corruptions",
    "queries",
    "default",
    "changes",
)


@dataclass(frozen=True)
class Level:
    """One value of what an ablation varies, in one direction.

    Attributes:
        direction: "image_to_text" or "text_to_image".
        group: what is varied; REFERENCES for a whole method.
        label: the value, for people.
        name: of the variant or method.
        changes: the settings that differ from the default.
        is_default: whether it changes nothing here, so that the default's results are its own.
    """

    direction: str
    group: str
    label: str
    name: str
    changes: Mapping[str, Any]
    is_default: bool


@dataclass(frozen=True)
class Finding:
    """How a level did, in percent of recall@1.

    Attributes:
        level: which.
        recall: mean over corruptions and seeds.
        sd: standard deviation over seeds of the mean over corruptions; NaN with one seed.
        difference: to the default, in points.
        p: of the paired bootstrap over queries, see `paired_bootstrap`; NaN for the default.
        seeds, corruptions: how many were averaged; severities count as corruptions of their own.
        queries: in each stream.
        calibrated: as `recall`, of the calibrated ranking; NaN without it.
    """

    level: Level
    recall: float
    sd: float
    difference: float
    p: float
    seeds: int
    corruptions: int
    queries: int
    calibrated: float = math.nan


def find(
    folder: RunFolder, rows: Sequence[Row], levels: Sequence[Level], default: str
) -> list[Finding]:
    """What each level found; clean queries do not count.

    Args:
        folder: holds the ranks of every stream.
        rows: lines of metrics.jsonl of the default and of every level that is not the default.
        levels: in the order in which they are to be shown.
        default: the method that the levels change.
    """
    findings = []
    for direction in dict.fromkeys(level.direction for level in levels):
        corrupted = [r for r in rows if r["direction"] == direction and r["corruption"] != CLEAN]
        hits = hits_by_query(folder, corrupted)
        for level in (level for level in levels if level.direction == direction):
            method = default if level.is_default else level.name
            own = [r for r in corrupted if r["method"] == method]
            findings.append(_finding(level, own, hits[method], hits[default]))
    return findings


def _finding(level: Level, own: Sequence[Row], hits: np.ndarray, base: np.ndarray) -> Finding:
    means = means_by_seed(own, "recall@1") or [math.nan]
    difference, p = (0.0, math.nan) if level.is_default else paired_difference(hits, base)
    return Finding(
        level,
        recall=float(np.mean(means)),
        sd=float(np.std(means, ddof=1)) if len(means) > 1 else math.nan,
        difference=difference,
        p=p,
        seeds=len(means),
        corruptions=len({(r["corruption"], r["severity"]) for r in own}),
        queries=len(hits),
        calibrated=float(np.mean(means_by_seed(own, "calibrated_recall@1") or [math.nan])),
    )


def ablation_csv(findings: Sequence[Finding]) -> str:
    """One line for each finding under the heads CSV_COLUMNS.

    An empty cell is a number that does not exist: a spread of one seed, the default's own p.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for found in findings:
        level = found.level
        writer.writerow(
            [
                *(level.group, level.label, level.name, level.direction),
                *map(_number, (found.recall, found.sd, found.difference, found.p)),
                _number(found.calibrated),
                *(found.seeds, found.corruptions, found.queries),
                "yes" if level.is_default else "no",
                json.dumps(dict(level.changes), sort_keys=True),
            ]
        )
    return out.getvalue()


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def ablation_tables(findings: Sequence[Finding]) -> str:
    """A Markdown table for each group: a line for each level, some columns for each direction."""
    directions = list(dict.fromkeys(found.level.direction for found in findings))
    columns = ["R@1", "difference", "p"]
    if any(not math.isnan(found.calibrated) for found in findings):
        columns.append("calibrated")
    heads = [f"{d} {c}" if c == "R@1" else c for d in directions for c in columns]
    parts = []
    for group in dict.fromkeys(found.level.group for found in findings):
        own = [found for found in findings if found.level.group == group]
        lines = []
        for label in dict.fromkeys(found.level.label for found in own):
            by_direction = {f.level.direction: f for f in own if f.level.label == label}
            cells = _cells(by_direction, directions, "calibrated" in columns)
            lines.append([_label(by_direction), *cells])
        table = tabulate(
            lines,
            [group, *heads],
            tablefmt="github",
            disable_numparse=True,
            colalign=["left"] + len(heads) * ["right"],
        )
        parts.append(table)
    return "\n\n".join([*parts, _explanation(findings)])


def _label(by_direction: Mapping[str, Finding]) -> str:
    label = next(iter(by_direction.values())).level.label
    where = [d for d, found in by_direction.items() if found.level.is_default]
    if not where:
        return label
    return (
        f"{label} (default)"
        if len(where) == len(by_direction)
        else f"{label} (default: {where[0]})"
    )


def _cells(
    by_direction: Mapping[str, Finding], directions: Sequence[str], calibrated: bool
) -> list[str]:
    cells = []
    for direction in directions:
        found = by_direction[direction]
        spread = "" if math.isnan(found.sd) else f" ± {found.sd:.2f}"
        p = "" if math.isnan(found.p) else f"{found.p:.4f}"
        difference = "" if found.level.is_default else f"{found.difference:+.2f}"
        cells += [f"{found.recall:.2f}{spread}", difference, p]
        if calibrated:
            cells.append("" if math.isnan(found.calibrated) else f"{found.calibrated:.2f}")
    return cells


def _explanation(findings: Sequence[Finding]) -> str:
    seeds = max(found.seeds for found in findings)
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "of one seed"
    return (
        f"R@1 in percent, averaged over corruptions within each seed, {spread}. Difference: points "
        "to the default on the same queries; p: two-sided paired bootstrap over queries, of this "
        "one comparison, not corrected for their number. Levels without p are the default."
    )
