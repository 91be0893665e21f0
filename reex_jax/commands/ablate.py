"""The command `ablate`: what a method's settings are worth."""

from reex_jax import hosts
from reex_jax.benchmark.ablation import default_method, run_ablation
from reex_jax.benchmark.shard import parse_shard
from reex_jax.commands.arguments import Arguments
from reex_jax.commands.run import joined_by
from reex_jax.reporting.ablation_figure import draw_ablation
from reex_jax.reporting.ablation_report import REFERENCES, ablation_csv, ablation_tables, find
from reex_jax.reporting.comparison import comparison_table
from reex_jax.reporting.table import protocol_line


def ablate(arguments: Arguments) -> None:
    """Runs the ablation and writes what it found to the results folder."""
    shard = parse_shard(arguments.options["shard"])
    folder, rows, levels = run_ablation(arguments.settings, arguments.given, shard)
    if not hosts.first():
        return
    if shard is not None:
        print(joined_by(folder, shard))
        return
    default = default_method(arguments.settings)
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
