"""The command, as a user calls it; each start takes seconds, so there are few."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_main(*arguments: str, experiment: str = "scenes_c.py") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reex_jax.main", f"--config=experiments/{experiment}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_run_prints_and_writes_its_table(tmp_path):
    done = run_main("--config.runlocal=True", f"--config.results={tmp_path}")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "scenes_c").iterdir()
    table = (folder / "table.md").read_text("utf-8")
    assert table in done.stdout
    assert f"wrote {folder}" in done.stdout
    for expected in ("| clean ", "| gaussian_noise 5 ", "| ocr 5 ", "50 queries, gallery of"):
        assert expected in table
    assert "is illegal" not in done.stderr  # tensorboardX complains about names it does not like


def test_an_unknown_method_is_one_line(tmp_path):
    done = run_main("--config.method=reax", f"--config.results={tmp_path}")
    assert done.returncode == 1
    assert "error: unknown value of method: 'reax'" in done.stderr
    assert "allowed: none" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_unknown_key_is_named():
    done = run_main("--config.foo=1")
    assert done.returncode == 1
    assert "error: unknown config key 'foo'" in done.stderr and "batch_size" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_sweep_is_one_line():
    done = run_main(experiment="coco_c.py:seed")
    assert done.returncode == 1
    assert done.stderr.startswith("error: unknown sweep 'seed'; did you mean 'seeds'? allowed: ")
    assert done.stderr.count("\n") == 1
    done = run_main("--config.batch_size=many")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: flag --config.batch_size=many: invalid literal")
