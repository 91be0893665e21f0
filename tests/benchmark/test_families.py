"""A tiny model of each family through the whole benchmark."""

import math
from pathlib import Path

import pytest

from reex_jax.benchmark.run import run_benchmark

FAMILIES = Path(__file__).parents[1] / "data" / "families"


@pytest.mark.parametrize(
    ("name", "stream", "repair"),
    [("open_clip", "reset", ""), ("siglip", "continual", ""), ("blip", "mixed", "symspell")],
)
def test_the_benchmark_runs_with_every_family(name, stream, repair, small_config, tmp_path):
    experiment = small_config(
        tmp_path,
        checkpoint=str(FAMILIES / name),
        method=("none", "tcr", "reex"),
        data={"num_images": 6},
        gsr={"rewriter": repair, "cache": str(tmp_path / "cache")},
        adapt={"stream": stream, "steps": 1},
    )
    folder, rows = run_benchmark(experiment)
    kinds = {(row["method"], row["direction"], row["corruption"]) for row in rows}
    assert len(kinds) >= 3 * 2 * 2
    assert {row["gallery_size"] for row in rows} == {6, 30}
    assert all(0 <= row["recall@10"] <= 100 and math.isfinite(row["mAP"]) for row in rows)
    assert "checkpoint" in (folder.path / "environment.json").read_text()
