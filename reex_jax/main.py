"""Runs a benchmark: a configuration in, a table and a results folder out.

python -m reex_jax.main --config=experiments/scenes_c.py --config.method=reex
"""

import sys
from collections.abc import Sequence

from ml_collections import config_flags

from reex_jax.benchmark.run import run_benchmark
from reex_jax.command_line import run_command
from reex_jax.config import check_command_line
from reex_jax.reporting.comparison import comparison_table, significance
from reex_jax.reporting.run_folder import Row, RunFolder
from reex_jax.reporting.table import method_table, protocol_line, skipped_lines

_CONFIG = config_flags.DEFINE_config_file("config", help_string="a file of experiments/")


def benchmark_report(folder: RunFolder, rows: Sequence[Row]) -> str:
    """The table of one method with every metric, or of several side by side, and what it says."""
    if len({row["method"] for row in rows}) == 1:
        parts = [method_table(rows)]
    else:
        parts = [comparison_table(rows), significance(folder, rows)]
    parts += [skipped_lines(rows), protocol_line(folder.config(), rows)]
    return "\n\n".join(filter(None, parts))


def main() -> None:
    """Runs the benchmark of --config, prints its table and writes it to the results folder."""
    folder, rows = run_benchmark(_CONFIG.value, sys.argv[1:])
    report = f"{benchmark_report(folder, rows)}\n"
    (folder.path / "table.md").write_text(report, "utf-8")
    print(f"\n{report}\nwrote {folder.path}")


if __name__ == "__main__":
    run_command(main, check_command_line)
