"""The benchmark table as Markdown, LaTeX and CSV."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from tabulate import tabulate

from reex_jax.reporting.benchmark_table import MEAN, METRICS, Cell, Table, benchmark_tables
from reex_jax.reporting.rows import Row
from reex_jax.reporting.table import TITLES

_CSV_HEADS = (
    *("direction", "method", "ranking", "corruption", "severity"),
    *("metric", "mean", "sd", "seeds", "difference_to_none"),
)


def column_name(column: tuple[str, int]) -> str:
    """A column's head: the corruption and its severity."""
    name, severity = column
    return f"{name} {severity}" if severity else name


def markdown(rows: Sequence[Row]) -> str:
    """Recall@1 of every method; the best bold, the second underlined."""
    parts = []
    for table in benchmark_tables(rows):
        lines = [
            [
                line.label,
                *(_marked(line.cells.get(c), "**", "**", "<u>", "</u>") for c in table.columns),
            ]
            for line in table.lines
        ]
        text = tabulate(
            lines,
            ["method", *map(column_name, table.columns)],
            tablefmt="github",
            disable_numparse=True,
            colalign=["left"] + len(table.columns) * ["right"],
        )
        parts.append(f"{_title(table)}\n\n{text}")
    return "\n\n".join(parts)


def latex(rows: Sequence[Row]) -> str:
    r"""The same for booktabs: \textbf and \underline, heads turned so that they fit."""
    parts = []
    for table in benchmark_tables(rows):
        heads = [rf"\rotatebox{{90}}{{{_escaped(column_name(c))}}}" for c in table.columns]
        lines = [
            " & ".join(
                [
                    _escaped(line.label),
                    *(
                        _marked(line.cells.get(c), r"\textbf{", "}", r"\underline{", "}").replace(
                            "±", r"$\pm$"
                        )
                        for c in table.columns
                    ),
                ]
            )
            + r" \\"
            for line in table.lines
        ]
        begin = rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}"
        parts.append(
            "\n".join(
                [
                    r"% needs \usepackage{booktabs,graphicx}",
                    r"\begin{table}",
                    r"\centering\small",
                    rf"\caption{{{_escaped(_title(table))}}}",
                    begin,
                    r"\toprule",
                    " & ".join(["method", *heads]) + r" \\",
                    r"\midrule",
                    *lines,
                    r"\bottomrule",
                    r"\end{tabular}",
                    r"\end{table}",
                ]
            )
        )
    return "\n\n".join(parts)


def csv_text(rows: Sequence[Row]) -> str:
    """Every metric, a line for each number, with all digits."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_CSV_HEADS)
    for metric in METRICS:
        for table in benchmark_tables(rows, metric):
            for line in table.lines:
                for (corruption, severity), cell in line.cells.items():
                    name = "" if corruption == MEAN else severity
                    start = [table.direction, line.method, line.ranking, corruption, name]
                    writer.writerow([*start, metric, *_numbers(cell)])
    return out.getvalue().rstrip("\n")


FORMATS: Mapping[str, Callable[[Sequence[Row]], str]] = MappingProxyType(
    {"markdown": markdown, "latex": latex, "csv": csv_text}
)


def _title(table: Table) -> str:
    return f"{TITLES[table.direction]} ({table.direction}), R@1 in percent"


def _marked(cell: Cell | None, bold: str, end: str, line: str, line_end: str) -> str:
    if cell is None:
        return "-"
    text = f"{cell.mean:.1f}" + ("" if cell.sd is None else f"±{cell.sd:.1f}")
    return {1: f"{bold}{text}{end}", 2: f"{line}{text}{line_end}"}.get(cell.place, text)


def _numbers(cell: Cell) -> list[str]:
    found = (cell.mean, cell.sd, cell.seeds, cell.difference)
    return ["" if value is None else repr(value) for value in found]


def _escaped(text: str) -> str:
    for sign in "&%$#_{}":
        text = text.replace(sign, f"\\{sign}")
    return text
