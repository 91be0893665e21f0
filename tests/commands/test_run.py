"""The command, as a user calls it; each start takes seconds, so there are few."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from reex_jax.reporting.table import MEAN

ROOT = Path(__file__).parents[2]


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


def test_several_methods_print_and_write_their_comparison(tmp_path):
    small = ["--config.data.num_images=12", "--config.directions=image_to_text"]
    small += ["--config.corruptions.image=fog", "--config.batch_size=8"]
    methods = ["--config.method=none", "--config.method=tent"]
    done = run_main(*small, *methods, f"--config.results={tmp_path}")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "scenes_c").iterdir()
    assert folder.name.startswith("2_methods-")
    table = (folder / "table.md").read_text("utf-8")
    assert table in done.stdout
    lines = [line for line in table.splitlines() if line[:3] in ("| m", "| n", "| t")]
    head, none, none_calibrated, tent, tent_calibrated = lines
    assert none_calibrated.startswith("| none, calibrated ")
    assert tent_calibrated.startswith("| tent, calibrated ")
    assert head.split() == ["|", "method", "|", "clean", "|", "fog", "|", *MEAN.split(), "|"]
    assert none.startswith("| none ") and tent.startswith("| tent ")
    assert " points of mean R@1, p = " in table
    assert "stream reset, score last_forward, 3 steps a batch, batches of 8, adapting" in table
    assert "tent image_to_text fog 5 (seed 0): R@1 " in done.stdout


def test_text_queries_are_repaired_on_request(tmp_path):
    small = ["--config.runlocal=True", "--config.directions=text_to_image"]
    small += ["--config.corruptions.text=keyboard", "--config.corruptions.clean=False"]
    small += [f"--config.results={tmp_path}", f"--config.gsr.cache={tmp_path / 'cache'}"]
    done = run_main(*small, "--config.gsr.rewriter=symspell", "--config.progress=False")
    assert done.returncode == 0, done.stderr
    assert "250 different text queries in the repair cache: 250 repaired, 0 unch" in done.stdout
    assert "; text queries repaired by symspell, fused by dynamic; " in done.stdout

    # Another rewriter may cost money: nothing is asked, and the command that asks is named.
    model = ["--config.gsr.rewriter=openai", "--config.gsr.model=some"]
    done = run_main(*small, *model)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "error: 250 of 250 text queries have no row in the repair cache" in done.stderr
    options = shlex.join(["--config=experiments/scenes_c.py", *small, *model])
    assert f"make them with: python -m reex_jax.gsr {options}\n" in done.stderr


def test_an_unknown_method_is_one_line(tmp_path):
    done = run_main("--config.method=reax", f"--config.results={tmp_path}")
    assert done.returncode == 1
    assert "error: unknown value of method: 'reax'" in done.stderr
    assert "did you mean 'reex'? allowed: deyo, eata, none, " in done.stderr
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
    assert done.stderr.startswith(
        "error: experiments/coco_c.py: unknown sweep 'seed'; did you mean 'seeds'? allowed: "
    )
    assert done.stderr.count("\n") == 1
    done = run_main("--config.batch_size=many")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: flag --config.batch_size=many: invalid literal")
