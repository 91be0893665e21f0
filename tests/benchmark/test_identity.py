"""What makes another run of an experiment: whatever changes its numbers, and nothing else."""

import pytest

from reex_jax.benchmark.identity import run_identity
from reex_jax.settings.experiment import Experiment

FILES = ["abc"]


def identity(changes=None, files=FILES, base=None):
    return run_identity((base or Experiment()).replaced(changes or {}), files)


@pytest.mark.parametrize(
    "changes",
    [
        {"results": "elsewhere", "progress": False, "run_id": "mine", "name": "mine"},
        {"data": {"workers": 8, "cache": "kept"}},
        {"adapt": {"devices": 4}},
        {"adapt": {"steps": 5}},  # nothing learns
        {"settings": {"tent": {"image": {"learning_rate": 1.0}}}},
        {"gsr": {"w_max": 0.5, "model": "m"}},  # nothing is repaired
        {"variants": [{"name": "a", "method": "tent", "changes": {}}]},  # it does not run
    ],
)
def test_what_changes_no_number_does_not_count(changes):
    assert identity(changes) == identity()


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": (1,)},
        {"method": ("none", "tent")},
        {"data": {"name": "folder"}},
        {"batch_size": 8},
        {"corruptions": {"clean": True, "severities": (4,)}},
        {"precision": "bfloat16"},
        {"gsr": {"rewriter": "symspell"}},
    ],
)
def test_what_changes_numbers_counts(changes):
    assert identity(changes) != identity()


def test_files_count():
    assert identity(files=["abd"]) != identity() != identity(files=["abc", "de"])


def test_settings_of_methods_that_run_count():
    learns = Experiment(method=("tent",))
    plain = identity(base=learns)
    for changes in (
        {"adapt": {"steps": 5}},
        {"settings": {"tent": {"image": {"learning_rate": 1.0}}}},
    ):
        assert identity(changes, base=learns) != plain
    assert identity({"settings": {"sar": {"image": {"rho": 1.0}}}}, base=learns) == plain


def test_repairs_count_and_how_a_server_is_asked_does_not():
    repaired = Experiment().replaced({"gsr": {"rewriter": "openai", "model": "m"}})
    plain = identity(base=repaired)
    quick = {"batch_size": 1, "concurrency": 2, "timeout_s": 3.0, "attempts": 4, "cache": "b"}
    assert identity({"gsr": quick | {"base_url": "http://c"}}, base=repaired) == plain
    assert identity({"gsr": {"w_max": 0.5}}, base=repaired) != plain
    assert identity({"gsr": {"model": "n"}}, base=repaired) != plain


def test_the_code_of_what_runs_counts(tmp_path, monkeypatch):
    code = identity({"method": ("none", "rest")})["code"]
    assert {"adaptation", "corruptions", "retrieval", "method none", "method rest"} <= set(code)
    # REST is built on TCR.
    assert code["method rest"] != identity({"method": ("tcr",)})["code"]["method tcr"]
    module = tmp_path / "mine_for_identity.py"
    module.write_text("one = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    own = {"method": ("mine_for_identity:f",)}
    before = identity(own)["code"]
    module.write_text("one = 2\n")
    after = identity(own)["code"]
    changed = {part for part in after if after[part] != before[part]}
    assert changed == {"method mine_for_identity:f"}
