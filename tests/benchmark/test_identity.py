"""What makes another run of an experiment: whatever changes its numbers, and nothing else."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import reex_jax
from reex_jax.benchmark import identity as identity_module
from reex_jax.benchmark import method_sources as sources_module
from reex_jax.benchmark.identity import code_digests, run_identity
from reex_jax.settings.experiment import Experiment

FILES = ["abc"]
OWN = "mine_for_identity"


def identity(changes=None, files=FILES, base=None):
    return run_identity((base or Experiment()).replaced(changes or {}), files)


@pytest.mark.parametrize(
    "changes",
    [
        {"results": "elsewhere", "progress": False, "run_id": "mine", "name": "mine"},
        {"runlocal": True},  # what it shrinks counts
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
        {"rank": {"calibration": "off"}},
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


def test_settings_of_variants_and_of_methods_of_one_s_own_count(tmp_path, monkeypatch):
    (tmp_path / f"{OWN}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    def of(rate, strength):
        fast = {"name": "fast", "method": "tent", "changes": {"learning_rate": rate}}
        pull = {"pull": {"image": {"strength": strength}}}
        changes = {"method": ("fast", f"{OWN}:pull"), "variants": (fast,), "settings": pull}
        return run_identity(Experiment().replaced(changes), FILES)["settings"]

    assert of(1e-2, 1.0) == of(1e-2, 1.0)
    assert {key for key, value in of(1e-3, 1.0).items() if value != of(1e-2, 1.0)[key]} == {
        "fast image_to_text",
        "fast text_to_image",
    }
    assert {key for key, value in of(1e-2, 2.0).items() if value != of(1e-2, 1.0)[key]} == {
        f"{OWN}:pull image_to_text"
    }


def test_repairs_count_and_how_a_server_is_asked_does_not():
    repaired = Experiment().replaced({"gsr": {"rewriter": "openai", "model": "m"}})
    plain = identity(base=repaired)
    quick = {"batch_size": 1, "concurrency": 2, "timeout_s": 3.0, "attempts": 4, "cache": "b"}
    quick |= {"base_url": "http://c", "price_per_million": (1.0, 1.0)}
    assert identity({"gsr": quick}, base=repaired) == plain
    for gsr in ({"w_max": 0.5}, {"model": "n"}, {"rewriter": "none"}, {"fusion": "replace"}):
        assert identity({"gsr": gsr}, base=repaired) != plain


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A copy of the package's source code, from which identities are taken from now on."""
    root = Path(reex_jax.__file__).parent
    copy = tmp_path / "reex_jax"
    for file in root.rglob("*.py"):
        target = copy / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)

    def find_spec(module):
        origin = str(tmp_path.joinpath(*module.split(".")).with_suffix(".py"))
        return SimpleNamespace(origin=origin, submodule_search_locations=None)

    util = SimpleNamespace(find_spec=find_spec)
    monkeypatch.setattr(sources_module, "importlib", SimpleNamespace(util=util))
    package = SimpleNamespace(__file__=str(copy / "__init__.py"))
    monkeypatch.setattr(identity_module, "reex_jax", package)
    return copy


@pytest.mark.parametrize(
    ("file", "parts"),
    [
        ("adaptation/methods/tent.py", {"method tent"}),
        ("adaptation/methods/tcr.py", {"method rest"}),  # which is built on it
        ("adaptation/methods/sar.py", set()),  # does not run
        ("adaptation/update.py", {"adaptation"}),
        ("arrays.py", {"arrays"}),
        ("corruptions/image/blur_of_tomorrow.py", {"corruptions"}),
        ("models/clip/model.py", {"models"}),
        ("retrieval/ranks.py", {"retrieval"}),
        ("gsr/fusion.py", set()),  # nothing is repaired
        ("reporting/table.py", set()),
        ("commands/start.py", set()),
    ],
)
def test_a_source_file_counts_where_it_computes_numbers_of_the_run(sources, file, parts):
    experiment = Experiment(method=("none", "tent", "rest"))
    before = code_digests(experiment)
    with (sources / file).open("a") as source:
        source.write("# Another version.\n")
    after = code_digests(experiment)
    assert {part for part in after if after[part] != before.get(part)} == parts
    assert after.keys() == before.keys()


def test_the_code_of_repairs_counts_with_a_rewriter(sources):
    experiment = Experiment().replaced({"gsr": {"rewriter": "symspell"}})
    before = code_digests(experiment)
    with (sources / "gsr/fusion.py").open("a") as source:
        source.write("# Another version.\n")
    after = code_digests(experiment)
    assert {part for part in after if after[part] != before[part]} == {"gsr"}
