"""The command `run`: a benchmark."""

from collections.abc import Sequence

from reex_jax.benchmark.run import run_benchmark
from reex_jax.commands.arguments import Arguments
from reex_jax.reporting.comparison import comparison_table, significance
from reex_jax.reporting.run_folder import Row, RunFolder
from reex_jax.reporting.table import method_table, protocol_line, skipped_lines


def benchmark_report(folder: RunFolder, rows: Sequence[Row]) -> str:
    """The table of one method with every metric, or of several side by side, and what it says."""
    if len({row["method"] for row in rows}) == 1:
        parts = [method_table(rows)]
    else:
        parts = [comparison_table(rows), significance(folder, rows)]
    parts += [skipped_lines(rows), protocol_line(folder.config(), rows)]
    return "\n\n".join(filter(None, parts))


def run(arguments: Arguments) -> None:
    """Runs the benchmark, prints its table and writes it to the results folder."""
    folder, rows = run_benchmark(arguments.settings, arguments.given)
    report = f"{benchmark_report(folder, rows)}\n"
    (folder.path / "table.md").write_text(report, "utf-8")
    print(f"\n{report}\nwrote {folder.path}")
