"""Which files a method's code lies in: packages written for the test, and a script that is run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reex_jax.benchmark.identity import code_digests
from reex_jax.benchmark.method_sources import method_sources
from reex_jax.errors import UserError
from reex_jax.settings.experiment import Experiment

OWN = "sources_of_mine"
FILES = {
    "__init__.py": "",
    "method.py": (
        f"import json\nimport numpy as np\nimport {OWN}_alone\nfrom . import helper\n"
        f"from .deep.part import f\nfrom {OWN}.named import constant\n"
        "from reex_jax.arrays import unit\n"
        "def g():\n    import sources_of_mine.late\n    import no_such_module\n"
    ),
    "helper.py": f"import {OWN}.method\n",  # a circle
    "deep/__init__.py": "from ..named import constant",
    "deep/part.py": "from ..other import f",
    "named.py": "constant = 1",
    "late.py": "raise RuntimeError",
    "other.py": "f = 1",
    "unused.py": "",
    "../sources_of_mine_alone.py": "",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    root = tmp_path / OWN
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield root
    for name in [name for name in sys.modules if name.startswith(OWN)]:
        del sys.modules[name]


def test_what_a_method_of_one_s_own_imports_counts(package):
    found = {path.resolve() for path in method_sources(f"{OWN}.method:f")}
    assert found == {(package / n).resolve() for n in FILES if n != "unused.py"}


def test_each_of_these_makes_another_run(package):
    experiment = Experiment(method=("none", f"{OWN}.method:f"))
    before = code_digests(experiment)
    for name, counts in (("other.py", True), ("unused.py", False)):
        (package / name).write_text("f = 2\n")
        after = code_digests(experiment)
        changed = {part for part in after if after[part] != before[part]}
        assert changed == ({f"method {OWN}.method:f"} if counts else set())
        before = after
    assert code_digests(Experiment()).keys() == after.keys() - {f"method {OWN}.method:f"}


def test_built_in_methods_count_with_those_they_are_built_on():
    assert [path.name for path in method_sources("rest")][-2:] == ["rest.py", "tcr.py"]
    assert [path.name for path in method_sources("tent")] == ["tent.py"]


SCRIPT = """
import helper_of_script
from reex_jax.benchmark.method_sources import method_sources
print(*(path.name for path in method_sources("__main__:f")))
"""


def test_a_method_in_a_script(tmp_path):
    (tmp_path / "helper_of_script.py").write_text("")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py")]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == ["script.py", "helper_of_script.py"]


def test_a_method_of_no_file_is_refused(monkeypatch):
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(UserError, match=r"method '__main__:f': its code lies in no file.*module"):
        method_sources("__main__:f")
