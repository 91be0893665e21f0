"""Several methods in one run: built-in ones, variants of them, and a user's own."""

import json

import numpy as np
import pytest

from reex_jax.benchmark.methods import method_settings
from reex_jax.benchmark.run import run_benchmark
from reex_jax.errors import UserError
from reex_jax.reporting.rows import read_rows, stream_key

OWN_METHOD = '''
import jax.numpy as jnp
from reex_jax.adaptation.objective import Loss, Objective
from reex_jax.settings.checks import number
from reex_jax.settings.fields import setting
from reex_jax.settings.methods import Method
from dataclasses import dataclass

@dataclass(frozen=True)
class Pull(Method):
    """Of `pull`."""
    strength: float = setting(1.0, "of the pull", number(0, 10))

def pull(settings: Pull) -> Objective:
    """Towards the first gallery item; rows that only pad count nothing."""
    def loss(batch, state):
        pulled = jnp.where(batch.mask, batch.similarities[:, 0], 0)
        return Loss(-settings.strength * pulled.mean(), state)
    return Objective(loss)

def sometimes_broken(settings: Method) -> Objective:
    """Its loss is no number on the second batch."""
    def loss(batch, state):
        value = batch.similarities.sum()
        return Loss(jnp.where(batch.index == 1, jnp.nan, value), state)
    return Objective(loss)

def always_broken(settings: Method) -> Objective:
    def loss(batch, state):
        return Loss(batch.similarities.sum() * jnp.nan, state, jnp.nan)
    return Objective(loss)

def wrong(settings: Method) -> Objective:
    return "no objective"
'''
FASTER = {"name": "fast tent", "method": "tent", "changes": {"learning_rate": 0.01}}


@pytest.fixture(scope="module")
def image_config(small_config):
    def make(results, *methods, **changes):
        return small_config(results, directions=("image_to_text",), method=methods, **changes)

    return make


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "my_methods.py").write_text(OWN_METHOD)
    monkeypatch.syspath_prepend(tmp_path)
    return "my_methods"


def test_a_list_of_methods_runs_one_after_the_other(image_config, numbers, measured, tmp_path):
    config = image_config(tmp_path / "two", "none", "tent", "fast tent", variants=(FASTER,))
    folder, rows = run_benchmark(config)
    assert folder.path.name.startswith("3_methods-")
    streams = [("image_to_text", "clean", 0, 0), ("image_to_text", "gaussian_noise", 5, 0)]
    expected = [(method, *stream) for method in config.method for stream in streams]
    assert [stream_key(row) for row in rows] == expected
    assert read_rows(folder.metrics) == rows
    _, alone = run_benchmark(image_config(tmp_path / "one", "tent"))
    assert numbers(rows)[2:4] == numbers(alone)
    slow, fast = numbers(rows)[3], numbers(rows)[5]
    assert fast["loss"] != slow["loss"] and rows[1]["loss"] is None  # `none` never learns
    (variant,) = json.loads((folder.path / "config.json").read_text())["variants"]
    assert variant == FASTER | {"group": "", "label": ""}

    # Another method makes another run; its rows are measured, not taken from there.
    lines = folder.metrics.read_text().splitlines(keepends=True)
    folder.metrics.write_text("".join(lines[:2] + lines[3:]))
    measured.clear()
    _, again = run_benchmark(config)
    assert measured == ["image_to_text clean (seed 0)"] and numbers(again) == numbers(rows)


def test_each_method_has_its_own_files_of_ranks(image_config, tmp_path):
    """Names with the same letters, and with what a file's name cannot have."""
    variants = tuple(
        {"name": name, "method": "none", "changes": {"steps": steps}}
        for steps, name in enumerate(("lr 0.1", "lr 0.2", "lr/0.2"))
    )
    config = image_config(tmp_path, *(v["name"] for v in variants), variants=variants)
    folder, rows = run_benchmark(config)
    files = {folder.ranks(row) for row in rows}
    assert len(files) == len(rows) == 6
    assert {file.parent for file in files} == {folder.path / "ranks"}
    for row in rows:
        ranks = np.load(folder.ranks(row))
        assert ranks.shape == (12,) and row["recall@1"] == pytest.approx(100 * (ranks == 0).mean())


def test_settings_are_those_of_the_direction_and_of_the_variant(image_config):
    own = {"tent": {"text": {"relative_temperature": 0.5}}}
    config = image_config("", "tent", variants=(FASTER,), adapt={"steps": 2}, settings=own)
    common = {
        "steps": 2,
        "rate_batch": 0,
        "last_layers": 0,
        "remat": "dots",
        "weight_decay": 1e-4,
        "score": "last_forward",
        "devices": 1,
    }
    assert method_settings(config, "tent", "image_to_text") == common | {
        "batch_size": 8,
        "parameters": "layer_norms",
        "learning_rate": 3e-4,
        "relative_temperature": 1.0,
    }
    text = method_settings(config, "fast tent", "text_to_image")
    assert (text["parameters"], text["relative_temperature"]) == ("block_layer_norms", 0.5)
    assert text["learning_rate"] == 0.01
    assert config.behind("fast tent").changes == {"learning_rate": 0.01}
    assert (config.behind("sar").method, config.behind("sar").changes) == ("sar", {})


def test_a_method_of_one_s_own_runs_beside_the_others(image_config, own_module, tmp_path):
    own = f"{own_module}:pull"
    variant = {"name": "idle", "method": own, "changes": {"steps": 0}}
    values = {"strength": 3.0, "learning_rate": 0.05}
    changes = {"variants": (variant,), "settings": {"pull": {"image": values, "text": values}}}
    config = image_config(tmp_path / "results", own, "idle", "none", **changes)
    folder, rows = run_benchmark(config)
    assert method_settings(config, "idle", "image_to_text")["strength"] == 3.0
    pulled, idle, none = rows[1::2]
    assert pulled["loss"] < 0 and idle["loss"] is None and none["loss"] is None
    np.testing.assert_array_equal(np.load(folder.ranks(idle)), np.load(folder.ranks(none)))
    assert not np.array_equal(np.load(folder.ranks(pulled)), np.load(folder.ranks(none)))


def test_skipped_updates_are_counted_and_printed(image_config, own_module, tmp_path, capsys):
    """Twelve queries are two batches of eight; three steps on the second are no numbers."""
    broken = [f"{own_module}:sometimes_broken", f"{own_module}:always_broken"]
    config = image_config(tmp_path / "results", *broken, "none", progress=True)
    folder, rows = run_benchmark(config)
    assert [row["skipped"] for row in rows] == [3, 3, 6, 6, 0, 0]
    assert [row["restored"] for row in rows] == [1, 1, 2, 2, 0, 0]  # once for each such batch
    sometimes, always, none = rows[1::2]
    assert np.isfinite(sometimes["loss"])  # of the first batch
    assert always["loss"] is None and always["confident"] is None
    np.testing.assert_array_equal(np.load(folder.ranks(always)), np.load(folder.ranks(none)))
    assert "NaN" not in folder.metrics.read_text()
    printed = capsys.readouterr().out.splitlines()

    def told(method):
        stream = f"{method} image_to_text gaussian_noise 5 (seed 0)"
        (line,) = [line for line in printed if line.startswith(stream)]
        return line.partition("  calibrated ")[2]

    ending = "queries/s)  {} updates skipped  put back to the source {} times"
    assert f"  loss {sometimes['loss']:.3f}  confident 1.00  (" in told(broken[0])
    assert told(broken[0]).endswith(ending.format(3, 1))
    assert told(broken[1]).endswith(ending.format(6, 2)) and "loss" not in told(broken[1])
    assert told("none").endswith("queries/s)") and "loss" not in told("none")


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        ("tent", {"relative_temprature": 1}, "method v, .*mean 'relative_temperature'"),
        ("tent", {"learning_rate": -1.0}, "method v, image_to_text: learning_rate is -1.0"),
        ("reex", {"strategy": "nearest"}, "method v, image_to_text: unknown value of strategy"),
        ("tent", {"score": "later"}, "method v, image_to_text: unknown value of score: 'later'"),
        ("no_such_module:f", {}, "method v, image_to_text: .*No module named 'no_such_module'"),
        ("my_methods:pul", {}, "method v, image_to_text: .*has no attribute 'pul'"),
        ("my_methods:wrong", {}, "made a str, not an Objective"),
        ("reex", {"k": -5}, "method v, image_to_text: k is -5"),
    ],
)
def test_what_no_method_takes_is_refused_before_any_work(
    image_config, own_module, tmp_path, method, changes, message
):
    variant = {"name": "v", "method": method, "changes": changes}
    config = image_config(tmp_path / "results", "none", "v", variants=(variant,))
    with pytest.raises(UserError, match=message):
        run_benchmark(config)
    assert not (tmp_path / "results").exists()


def test_devices_that_cannot_share_a_batch_are_refused_before_any_work(image_config, tmp_path):
    config = image_config(tmp_path / "results", "none", adapt={"devices": 3})
    with pytest.raises(UserError, match="batch_size 8 is not divisible by 3 devices; take 9"):
        run_benchmark(config)
    with pytest.raises(UserError, match="devices is 99, but this machine has"):
        run_benchmark(config.replaced({"adapt": {"devices": 99}}))
    assert not (tmp_path / "results").exists()
