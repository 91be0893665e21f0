"""The ablation's command, as a user calls it; each start takes seconds, so there are few."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_ablation(*arguments: str) -> subprocess.CompletedProcess[str]:
    experiment = "--config=experiments/ablation_exclusion.py"
    # Numbers do not matter here, and most of the time is compilation.
    faster = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "XLA_FLAGS": ""}
    return subprocess.run(
        [sys.executable, "-m", "reex_jax.ablation", experiment, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"} | faster,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_a_run_writes_tables_csv_and_plot(tmp_path):
    done = run_ablation(
        "--config.runlocal=True",
        "--config.method=('none', 'reex', 'k=off', 'who learns=all')",
        "--config.max_queries=8",
        "--config.batch_size=8",
        f"--config.results={tmp_path}",
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "ablation_exclusion").iterdir()
    assert f"wrote {folder}" in done.stdout
    tables = (folder / "ablation.md").read_text("utf-8")
    assert tables in done.stdout
    for expected in ("| reex (default) ", "| off ", "| all (default) ", "8 queries, gallery of"):
        assert expected in tables
    assert "| k=off " in (folder / "table.md").read_text("utf-8")
    assert (folder / "ablation.png").read_bytes().startswith(b"\x89PNG\r\n")

    with (folder / "ablation.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [(line["direction"], line["variant"]) for line in lines] == [
        (direction, name)
        for direction in ("image_to_text", "text_to_image")
        for name in ("none", "reex", "k=off", "who learns=all")
    ]
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    measured = {(row["direction"], row["method"]): row["recall@1"] for row in rows}
    assert len(measured) == 6  # who learns=all is the default
    for line in lines:
        method = "reex" if line["variant"] == "who learns=all" else line["variant"]
        recall = measured[line["direction"], method]
        assert float(line["recall@1"]) == recall
        assert float(line["difference"]) == recall - measured[line["direction"], "reex"]


def test_an_ablation_without_variants_is_one_line(tmp_path):
    done = run_ablation("--config.method=none", f"--config.results={tmp_path}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: method names no variant; an ablation needs some")
    assert "Traceback" not in done.stderr and not list(tmp_path.iterdir())
