"""The benchmark table as papers print it, as values: what page, Markdown, LaTeX and CSV show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reex_jax.reporting.rows import Row, by_ranking
from reex_jax.reporting.table import means_by_seed, values_of
from reex_jax.settings.choices import CLEAN, REPAIRED

MEAN = "mean"
"""The column of the mean over all corruptions, each seed by itself first."""

NONE = "none"
"""The method that the others are compared with."""

METRICS = ("recall@1", "recall@5", "recall@10", "mAP", "median_rank")
_LOWER_IS_BETTER = "median_rank"


@dataclass(frozen=True)
class Cell:
    """A number of the table.

    Attributes:
        mean: over seeds.
        sd: of the sample of seeds; None with one.
        seeds: how many.
        place: 1 for the best of its column, 2 for the second, else 0; equal ones share a place.
        difference: to plain `none` in the same column; None for `none` itself or without it.
    """

    mean: float
    sd: float | None
    seeds: int
    place: int = 0
    difference: float | None = None


@dataclass(frozen=True)
class Line:
    """A row of the table.

    Attributes:
        method: its name, "+ repair" included.
        ranking: "plain" or "calibrated".
        cells: column -> cell; a column without a result is missing.
    """

    method: str
    ranking: str
    cells: Mapping[tuple[str, int], Cell]

    @property
    def label(self) -> str:
        """As tables in a terminal name it."""
        return self.method if self.ranking == "plain" else f"{self.method}, {self.ranking}"


@dataclass(frozen=True)
class Table:
    """One direction and metric.

    Attributes:
        direction: "image_to_text" or "text_to_image".
        metric: one of METRICS.
        columns: (corruption, severity), clean first, MEAN last.
        lines: methods, plain and calibrated.
    """

    direction: str
    metric: str
    columns: Sequence[tuple[str, int]]
    lines: Sequence[Line]


def benchmark_tables(rows: Sequence[Row], metric: str = "recall@1") -> list[Table]:
    """A table for each direction that has the metric."""
    tables = []
    for direction in dict.fromkeys(row["direction"] for row in rows):
        own = [row for row in by_ranking(rows) if row["direction"] == direction]
        columns = list(dict.fromkeys((r["corruption"], r["severity"]) for r in own))
        if any(corruption != CLEAN for corruption, _ in columns):
            columns.append((MEAN, 0))
        found: dict[tuple[str, str], dict[tuple[str, int], Cell]] = {}
        for row in own:
            found.setdefault(_line_of(row), {})
        for method, ranking in found:
            mine = [row for row in own if _line_of(row) == (method, ranking)]
            found[method, ranking] = _cells(mine, columns, metric)
        lines = [Line(*key, cells) for key, cells in found.items()]
        tables.append(Table(direction, metric, columns, _compared(lines, columns, metric)))
    return tables


def _line_of(row: Row) -> tuple[str, str]:
    return str(row.get("method_alone", row["method"])), str(row.get("ranking", "plain"))


def _cells(
    own: Sequence[Row], columns: Sequence[tuple[str, int]], metric: str
) -> dict[tuple[str, int], Cell]:
    cells = {}
    streams = [column for column in columns if column != (MEAN, 0)]
    for column in streams:
        values = values_of([r for r in own if (r["corruption"], r["severity"]) == column], metric)
        if values:
            cells[column] = _cell(values)
    # Means over other corruptions, or over other ones in each seed, would not compare.
    whole = len(cells) == len(streams) and len({cell.seeds for cell in cells.values()}) == 1
    corrupted = [row for row in own if row["corruption"] != CLEAN]
    means = means_by_seed(corrupted, metric) if whole and corrupted else []
    if means:
        cells[MEAN, 0] = _cell(means)
    return cells


def _cell(values: Sequence[float]) -> Cell:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Cell(float(np.mean(values)), sd, len(values))


def _compared(lines: Sequence[Line], columns: Sequence[tuple[str, int]], metric: str) -> list[Line]:
    """The lines with places and differences."""
    sign = -1 if metric == _LOWER_IS_BETTER else 1
    base = [line.cells for line in lines if (line.method, line.ranking) == (NONE, "plain")]
    changed: list[dict[tuple[str, int], Cell]] = [{} for _ in lines]
    for column in columns:
        # As printed: what looks equal shares its place.
        shown = {sign * round(line.cells[column].mean, 1) for line in lines if column in line.cells}
        best = sorted(shown, reverse=True)[:2]
        for line, cells in zip(lines, changed, strict=True):
            cell = line.cells.get(column)
            if cell is None:
                continue
            value = sign * round(cell.mean, 1)
            place = best.index(value) + 1 if value in best and len(lines) > 1 else 0
            is_base = (line.method, line.ranking) == (NONE, "plain")
            other = base[0].get(column) if base and not is_base else None
            difference = None if other is None else cell.mean - other.mean
            cells[column] = Cell(cell.mean, cell.sd, cell.seeds, place, difference)
    return [
        Line(line.method, line.ranking, cells) for line, cells in zip(lines, changed, strict=True)
    ]


def base_method(method: str) -> str:
    """A method without the note that its queries were repaired."""
    return method.removesuffix(REPAIRED)
