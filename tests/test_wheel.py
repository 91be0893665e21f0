"""What people get by `pip install`: a wheel with everything that a run needs."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, since setuptools writes beside the sources."""
    folder = tmp_path_factory.mktemp("build")
    for name in ("reex_jax", "experiments"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "requirements.txt", "README.md"):
        shutil.copy(ROOT / name, folder)
    shutil.copy(ROOT / "LICENSE", folder)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder), str(folder)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=200)
    (found,) = folder.glob("reex_jax-*.whl")
    return found


def test_the_wheel_holds_every_module_data_file_and_experiment(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        shipped = archive.read("reex_jax/experiments/scenes_c.py")
    assert shipped == (ROOT / "experiments" / "scenes_c.py").read_bytes()
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "reex_jax").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    expected |= {f"reex_jax/experiments/{p.name}" for p in (ROOT / "experiments").glob("*.py")}
    assert expected <= names
    assert not {name for name in names if name.startswith(("tests/", "tools/", "experiments/"))}


@pytest.mark.slow
def test_an_installed_wheel_runs_the_demo_in_an_empty_folder(wheel, tmp_path):
    home, empty = tmp_path / "venv", tmp_path / "empty"
    empty.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*install, "--no-deps", str(wheel)], check=True)
    # The libraries of this environment, without the editable reex_jax in it: a folder that a .pth
    # file adds has its own .pth files ignored.
    (site,) = (home / "lib").glob("python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"], "utf-8")
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "XLA_FLAGS")}

    def run(*arguments):
        return subprocess.run(
            [str(python), *arguments],
            cwd=empty,
            env=environment | {"JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        ).stdout

    where = run("-c", "import reex_jax; print(reex_jax.__file__)")
    assert Path(where.strip()).is_relative_to(site)
    for number, name in enumerate(("scenes_c:demo", "experiments/scenes_c.py:demo")):
        small = ["--config.runlocal=True", f"--config.results=results{number}"]
        printed = run("-m", "reex_jax", "run", f"--config={name}", *small)
        assert "| reex, calibrated |" in printed and "50 queries, gallery of 250" in printed
