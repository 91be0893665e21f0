"""The command `run`: a benchmark."""

import re
import sys
from collections.abc import Sequence

from reex_jax import hosts
from reex_jax.benchmark.run import run_benchmark
from reex_jax.benchmark.shard import Shard, parse_shard
from reex_jax.commands.arguments import Arguments
from reex_jax.reporting.comparison import comparison_table, significance
from reex_jax.reporting.published import published_table
from reex_jax.reporting.rows import Row, by_ranking
from reex_jax.reporting.run_folder import RunFolder
from reex_jax.reporting.table import method_table, protocol_line, skipped_lines
from reex_jax.settings.choices import OFF
from reex_jax.settings.experiment import Experiment


def benchmark_report(folder: RunFolder, rows: Sequence[Row]) -> str:
    """The table of one method with every metric, or of several side by side, and what it says.

    Plain and calibrated rankings stand side by side.
    """
    both = by_ranking(rows)
    if len({row["method"] for row in rows}) == 1:
        names = dict.fromkeys(row["method"] for row in both)
        parts = [_titled(name, [r for r in both if r["method"] == name]) for name in names]
    else:
        parts = [comparison_table(both), significance(folder, both)]
    parts += [published_table(folder.config(), rows)]
    parts += [skipped_lines(rows), protocol_line(folder.config(), rows)]
    return "\n\n".join(filter(None, parts))


def idle_settings(experiment: Experiment, given: Sequence[str]) -> list[str]:
    """A line for each setting on the command line that cannot matter to the run.

    Those of methods that do not run, of updates where nothing learns, and of repair where nothing
    is repaired.
    """
    running = {experiment.behind(name).method.rpartition(":")[2] for name in experiment.method}
    lines = []
    for argument in given:
        found = re.match(r"--?(?:no)?config\.(settings|adapt|gsr)\.([^.=]+)", argument)
        if not found:
            continue
        section, name = found.groups()
        reason = {
            "settings": "" if name in running else f"{name} does not run",
            "adapt": "" if running - {"none"} else "nothing is adapted",
            "gsr": "" if experiment.gsr.rewriter != OFF else "gsr.rewriter is off",
        }[section]
        if reason:
            lines.append(f"note: {argument} changes nothing: {reason}")
    return lines


def _titled(name: str, rows: Sequence[Row]) -> str:
    return f"Ranking: {name}\n\n{method_table(rows)}"


def joined_by(folder: RunFolder, shard: Shard) -> str:
    """Where the other shares of a run lie, and what joins them."""
    all_of_them = f"{folder.path}".removesuffix(shard.suffix)
    return (
        f"this is share {shard}, in {folder.path}; when all {shard.of} are there, "
        f"python -m reex_jax.report {all_of_them}-shard-* joins them"
    )


def run(arguments: Arguments) -> None:
    """Runs the benchmark, prints its table and writes it to the results folder."""
    if hosts.first():
        for line in idle_settings(arguments.settings, arguments.given):
            print(line, file=sys.stderr)
    shard = parse_shard(arguments.options["shard"])
    folder, rows = run_benchmark(arguments.settings, arguments.given, shard)
    if not hosts.first():
        return
    if shard is not None:
        print(joined_by(folder, shard))
    report = f"{benchmark_report(folder, rows)}\n"
    (folder.path / "table.md").write_text(report, "utf-8")
    print(f"\n{report}\nwrote {folder.path}")
