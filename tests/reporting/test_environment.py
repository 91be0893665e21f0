"""What a results folder says about where it was made."""

import json
import platform
import subprocess
from datetime import datetime

import jax
import numpy as np
import pytest

from reex_jax.reporting import environment
from reex_jax.reporting.environment import describe_environment, git_revision, peak_memory_mb


def test_the_description_is_plain_json(tmp_path):
    found = describe_environment(tmp_path / "my_clip", "ab" * 32, command=("--config.method=none",))
    assert json.loads(json.dumps(found)) == found
    assert found["checkpoint"] == {"folder": "my_clip", "sha256": "ab" * 32}
    assert found["command"] == ["--config.method=none"]
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["jax"] == jax.__version__
    assert found["versions"]["numpy"] == np.__version__
    assert found["devices"] == ["cpu cpu"] * jax.device_count()
    assert found["cpus"] >= 1 and found["memory_gib"] > 0
    assert datetime.fromisoformat(found["started"]).utcoffset().total_seconds() == 0
    assert str(tmp_path) not in json.dumps(found)  # names no place of this machine
    assert found["sentences"] is None and found["rewriter"] is None
    sentences = {"file": "sentences.jsonl", "sha256": "cd" * 32}
    assert describe_environment(tmp_path, "ab" * 32, sentences)["sentences"] == sentences
    assert describe_environment(tmp_path, "", rewriter="symspell/1")["rewriter"] == "symspell/1"


def test_a_package_that_is_missing_has_no_version(monkeypatch):
    monkeypatch.setattr(environment, "_PACKAGES", ("jax", "no-such-package"))
    versions = environment._versions()
    assert versions == {"jax": jax.__version__, "no-such-package": None}


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_revision_and_whether_files_differ(tmp_path, monkeypatch):
    source = tmp_path / "environment.py"
    source.write_text("old")
    assert git_revision(tmp_path) is None  # not in git
    git(tmp_path, "init", "-q")
    monkeypatch.setattr(environment, "__file__", str(source))
    assert git_revision(tmp_path) is None  # in a checkout that does not hold the code
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_revision(tmp_path) == {"commit": commit, "dirty": False}
    source.write_text("new")
    assert git_revision(tmp_path) == {"commit": commit, "dirty": True}


def test_peak_memory_grows_with_what_is_held():
    before = peak_memory_mb()
    held = np.ones(int(before * 1e6) // 8 // 4)  # a quarter more, and touched
    assert 0 < before <= peak_memory_mb() < 1e6
    assert held.sum() == pytest.approx(len(held))
