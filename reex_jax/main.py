"""Runs a benchmark: a configuration in, a table and a results folder out.

python -m reex_jax.main --config=experiments/scenes_c.py --config.method=none
"""

import sys

from absl import app, flags
from ml_collections import config_flags

from reex_jax.benchmark.run import run_benchmark
from reex_jax.config import check_command_line
from reex_jax.errors import UserError
from reex_jax.reporting.table import method_table, protocol_line

_CONFIG = config_flags.DEFINE_config_file("config", help_string="a file of experiments/")


def main(argv: list[str]) -> None:
    """Command line entry."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    try:
        folder, rows = run_benchmark(_CONFIG.value)
    except UserError as error:
        sys.exit(f"error: {error}")
    report = f"{method_table(rows)}\n\n{protocol_line(_CONFIG.value.to_dict(), rows)}\n"
    (folder.path / "table.md").write_text(report, "utf-8")
    print(f"\n{report}\nwrote {folder.path}")


if __name__ == "__main__":
    try:
        check_command_line(sys.argv)
    except UserError as error:
        sys.exit(f"error: {error}")
    flags.mark_flag_as_required("config")
    app.run(main)
