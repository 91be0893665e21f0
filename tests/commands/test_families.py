"""A tiny model of each family through the command line."""

import json
from pathlib import Path

import pytest

from reex_jax.commands.list import RUN
from reex_jax.commands.start import start

ROOT = Path(__file__).parents[2]
FAMILIES = ROOT / "tests" / "data" / "families"


@pytest.mark.parametrize("name", ["open_clip", "siglip", "blip"])
def test_a_run_with_every_family(name, tmp_path):
    with pytest.raises(SystemExit) as end:
        start(
            RUN,
            [
                f"--config={ROOT / 'experiments' / 'scenes_c.py'}",
                f"--config.checkpoint={FAMILIES / name}",
                "--config.method=('none','reex')",
                "--config.directions=image_to_text",
                "--config.corruptions.image=('gaussian_noise',)",
                "--config.data.num_images=6",
                "--config.batch_size=4",
                "--config.adapt.steps=1",
                "--config.progress=False",
                f"--config.results={tmp_path}",
            ],
        )
    assert end.value.code == 0
    (file,) = tmp_path.rglob("metrics.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    asked = {(row["method"], row["corruption"]) for row in rows}
    wanted = {"clean", "gaussian_noise"}
    assert asked == {(method, kind) for method in ("none", "reex") for kind in wanted}
    assert all(0 <= row["calibrated_recall@10"] <= 100 for row in rows)
