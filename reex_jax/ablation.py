"""Runs an ablation: a configuration with variants in; tables, a CSV file and a plot out.

python -m reex_jax.ablation --config=experiments/ablation_exclusion.py
"""

import sys

from ml_collections import config_flags

from reex_jax.benchmark.ablation import default_method, run_ablation
from reex_jax.command_line import run_command
from reex_jax.config import check_command_line
from reex_jax.reporting.ablation_figure import draw_ablation
from reex_jax.reporting.ablation_report import REFERENCES, ablation_csv, ablation_tables, find
from reex_jax.reporting.comparison import comparison_table
from reex_jax.reporting.table import protocol_line

_CONFIG = config_flags.DEFINE_config_file("config", help_string="experiments/ablation_exclusion.py")


def main() -> None:
    """Runs the ablation of --config and writes what it found to the results folder."""
    folder, rows, levels = run_ablation(_CONFIG.value, sys.argv[1:])
    default = default_method(_CONFIG.value)
    findings = find(folder, rows, levels, default)
    methods = list(dict.fromkeys(v.name for v in levels if v.group == REFERENCES))
    named = [*methods, f"variants of {default}"]
    protocol = protocol_line({**folder.config(), "method": named}, rows)
    tables = f"{ablation_tables(findings)}\n\n{protocol}\n"
    (folder.path / "table.md").write_text(f"{comparison_table(rows)}\n\n{protocol}\n", "utf-8")
    (folder.path / "ablation.md").write_text(tables, "utf-8")
    (folder.path / "ablation.csv").write_text(ablation_csv(findings), "utf-8")
    draw_ablation(findings, default).savefig(folder.path / "ablation.png", dpi=150)
    print(f"\n{tables}\nwrote {folder.path}")


if __name__ == "__main__":
    run_command(main, check_command_line)
