"""The tables of the report as HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from reex_jax.reporting.benchmark_table import MEAN, METRICS, Cell, Line, Table, benchmark_tables
from reex_jax.reporting.details import expected_calibration_error
from reex_jax.reporting.page.gathered import Gathered
from reex_jax.reporting.page.plots import hub_numbers
from reex_jax.reporting.rows import Row
from reex_jax.reporting.table import TITLES
from reex_jax.reporting.table_export import column_name
from reex_jax.settings.choices import CLEAN

_NAMES = {"recall@1": "R@1", "recall@5": "R@5", "recall@10": "R@10", "median_rank": "median rank"}
_FULL = 25.0
"""Points of difference whose background is as strong as it gets."""


def benchmark(table: Table) -> str:
    """Methods down, corruptions across."""
    heads = "".join(
        f'<th scope="col" data-corruption="{escape(column_name(c))}">{_head(c)}</th>'
        for c in table.columns
    )
    lines = "".join(_line(line, table.columns) for line in table.lines)
    return (
        f'<div class="wide" data-direction="{table.direction}"><table class="bench">'
        f"<caption>{escape(TITLES[table.direction])} ({table.direction}), R@1 in percent</caption>"
        f'<thead><tr><th scope="col">method</th>{heads}</tr></thead><tbody>{lines}</tbody>'
        "</table></div>"
    )


def _head(column: tuple[str, int]) -> str:
    return escape(column_name(column)).replace("_", "_<wbr>").replace(" ", "<br>")


def _line(line: Line, columns: Sequence[tuple[str, int]]) -> str:
    cells = "".join(_cell(line.cells.get(column), column_name(column)) for column in columns)
    return (
        f'<tr class="{line.ranking}" data-method="{escape(line.method)}" '
        f'data-ranking="{line.ranking}"><th scope="row">{escape(line.label)}</th>{cells}</tr>'
    )


def _cell(cell: Cell | None, column: str) -> str:
    start = f'<td data-corruption="{escape(column)}"'
    if cell is None:
        return f"{start}>-</td>"
    text = f"{cell.mean:.1f}"
    text = {1: f"<b>{text}</b>", 2: f"<u>{text}</u>"}.get(cell.place, text)
    if cell.sd is not None:
        text += f'<span class="pm"> ±{cell.sd:.1f}</span>'
    style = ""
    if cell.difference is not None:
        nothing = f"{cell.difference:.1f}".strip("-") == "0.0"
        way = "same" if nothing else "up" if cell.difference > 0 else "down"
        text += f'<span class="diff {way}">{cell.difference:+.1f}</span>'
        strength = min(abs(cell.difference) / _FULL, 1) * 0.28
        if not nothing:
            style = f' style="background:rgba(var(--{way}back),{strength:.2f})"'
    seeds = f"{cell.seeds} seed" + "s" * (cell.seeds > 1)
    return f'{start} data-value="{cell.mean!r}" title="{cell.mean:.3f}, {seeds}"{style}>{text}</td>'


def all_metrics(rows: Sequence[Row], direction: str) -> str:
    """Clean and mean of the corruptions by every metric."""
    tables = {
        metric: table
        for metric in METRICS
        for table in benchmark_tables(rows, metric)
        if table.direction == direction
    }
    columns = [
        (metric, column)
        for column in ((CLEAN, 0), (MEAN, 0))
        for metric, table in tables.items()
        if column in table.columns
    ]
    heads = "".join(
        f'<th scope="col">{escape(column[0])}<br>{_NAMES.get(metric, metric)}</th>'
        for metric, column in columns
    )
    lines = []
    for number, line in enumerate(tables["recall@1"].lines):
        cells = []
        for metric, column in columns:
            cell = tables[metric].lines[number].cells.get(column)
            cells.append("<td>-</td>" if cell is None else f"<td>{_plain(cell)}</td>")
        lines.append(
            f'<tr data-method="{escape(line.method)}"><th scope="row">{escape(line.label)}</th>'
            f"{''.join(cells)}</tr>"
        )
    return _numbers(direction, f"{TITLES[direction]}, every metric", heads, lines)


def _plain(cell: Cell) -> str:
    text = f"{cell.mean:.1f}"
    return {1: f"<b>{text}</b>", 2: f"<u>{text}</u>"}.get(cell.place, text)


def _numbers(direction: str, caption: str, heads: str, lines: Sequence[str]) -> str:
    return (
        f'<div class="wide" data-direction="{direction}"><table><caption>{escape(caption)}'
        f'</caption><thead><tr><th scope="col">method</th>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def kept_numbers(found: Gathered, direction: str) -> str:
    """Hubs and calibration of the confidence, over all corruptions; "" without details."""
    lines = []
    for method, ranking, own in found.of(direction, MEAN):
        label = method if ranking == "plain" else f"{method}, {ranking}"
        most, never = hub_numbers(own)
        error = 100 * expected_calibration_error(own.bins)
        lines.append(
            f'<tr data-method="{escape(method)}"><th scope="row">{escape(label)}</th>'
            f"<td>{most:.1f}</td><td>{never:.1f}</td><td>{error:.1f}</td></tr>"
        )
    heads = "".join(
        f'<th scope="col">{text}</th>'
        for text in (
            "share of first tens that<br>the top 1 % of items take",
            "items never among<br>the first ten",
            "expected calibration<br>error of confidence",
        )
    )
    caption = f"{TITLES[direction]}, in percent, over all corruptions"
    return _numbers(direction, caption, heads, lines) if lines else ""


def listed(values: Mapping[str, Any], caption: str) -> str:
    """Names and values, a line each."""
    lines = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>"
        for name, value in values.items()
    )
    return (
        f'<div class="wide"><table class="plain"><caption>{escape(caption)}</caption>'
        f"<tbody>{lines}</tbody></table></div>"
    )
