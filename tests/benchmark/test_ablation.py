"""Which variants an ablation measures, what it refuses, and that it goes on after a stop."""

import importlib.util
from pathlib import Path

import pytest

from reex_jax.benchmark import passes
from reex_jax.benchmark.ablation import (
    ablation_levels,
    check_ablation,
    default_method,
    measured_methods,
    run_ablation,
)
from reex_jax.errors import UserError
from reex_jax.reporting.ablation_report import REFERENCES, find
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.experiment import Experiment

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "ablation_exclusion.py"
GROUPS = ["k", "candidates", "memory", "calibrated", "quantile", "who learns"]


def variant(name, changes, group="k", **more):
    return {
        "name": name,
        "method": "reex",
        "group": group,
        "label": name,
        "changes": changes,
    } | more


def small_config(*variants):
    variants = variants or (
        variant("k=1", {"k": 1}),
        variant("k=20", {"k": 20}),
        variant("k=off", {"k": 0}),
        variant("both", {"split": "both"}, group="split"),
        variant("neither", {"split": "none"}, group="split"),
    )
    return Experiment(
        variants=variants,
        method=("none", "reex", *(v["name"] for v in variants)),
        corruptions=Corruptions(clean=False, image=("contrast",), text=("swap",)),
    )


def shipped():
    spec = importlib.util.spec_from_file_location(EXPERIMENT.stem, EXPERIMENT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config()


def test_the_shipped_experiment_varies_what_it_says():
    config = shipped()
    check_ablation(config)
    changes = {}
    for one in config.variants:
        changes.setdefault(one.group, []).append(one.changes)
    assert list(changes) == GROUPS
    assert [c["k"] for c in changes["k"]] == [1, 2, 5, 10, 20, 50, 100, 0]
    pairs = {(c["pool"], c.get("strategy", "outside_top_k")) for c in changes["candidates"]}
    strategies = ("outside_top_k", "next_m", "bottom_m", "random_m")
    assert pairs == {(pool, s) for pool in ("batch", "gallery") for s in strategies}
    assert [c["memory"] for c in changes["memory"]] == [0, 56, 256]
    assert [c["calibrated"] for c in changes["calibrated"]] == [True, False]
    assert [c["quantile"] for c in changes["quantile"]] == [0.0, 0.5, 0.8]
    assert changes["who learns"] == [{}, {"split": "none"}]
    assert len(config.seeds) == 3 and len(config.directions) == 2


@pytest.mark.parametrize("runlocal", [False, True])
def test_every_group_of_the_shipped_experiment_shows_the_default(runlocal):
    config = shipped().replaced({"runlocal": runlocal})
    measured = measured_methods(config)
    # 26 variants, one of each group is the default; runlocal keeps one other of each.
    assert len(measured) == 2 + (len(GROUPS) if runlocal else 26 - len(GROUPS))
    levels = ablation_levels(config, measured)
    for direction in config.directions:
        own = [level for level in levels if level.direction == direction]
        assert [level.group for level in own if level.is_default] == [REFERENCES, *GROUPS]
        assert len(own) == 2 + (2 * len(GROUPS) if runlocal else 26)


def test_variants_equal_to_the_default_are_shown_and_not_measured():
    config = small_config()
    measured = measured_methods(config)
    assert measured == ["none", "reex", "k=1", "k=off", "neither"]
    levels = [v for v in ablation_levels(config, measured) if v.direction == "text_to_image"]
    assert [(v.group, v.name, v.is_default) for v in levels] == [
        (REFERENCES, "none", False),
        (REFERENCES, "reex", True),
        ("k", "k=1", False),
        ("k", "k=20", True),
        ("k", "k=off", False),
        ("split", "both", True),
        ("split", "neither", False),
    ]
    assert levels[2].changes == {"k": 1}


def test_the_default_may_differ_between_the_directions():
    config = small_config().replaced({"settings": {"reex": {"text": {"k": 1}}}})
    measured = measured_methods(config)
    assert {"k=1", "k=20"} <= set(measured)
    levels = ablation_levels(config, measured)
    defaults = {(v.direction, v.name) for v in levels if v.group == "k" and v.is_default}
    assert defaults == {("image_to_text", "k=20"), ("text_to_image", "k=1")}


def test_only_the_variants_that_are_asked_for_count():
    config = small_config().replaced({"method": ("reex", "k=off", "k=20")})
    assert measured_methods(config) == ["reex", "k=off"]
    names = [v.name for v in ablation_levels(config, ["reex", "k=off"])]
    assert names == 2 * ["reex", "k=20", "k=off"]


def refused(config, message):
    with pytest.raises(UserError, match=message):
        check_ablation(config)


def test_what_cannot_be_compared_is_refused():
    one = variant("k=1", {"k": 1})
    refused(small_config(variant("a", {}, group="")), "variant 'a' needs a group, a text")
    refused(small_config({k: one[k] for k in one if k != "label"}), "'k=1' needs a label, a text")
    with pytest.raises(UserError, match="the label of variant 'a' is 1; it must be a text"):
        small_config(variant("a", {}, label=1))
    refused(small_config(variant("a", {}, group="method")), "'a' has the group 'method', which is")
    refused(small_config(one, variant("b", {}, label="k=1")), "group 'k' have the label 'k=1'")
    refused(small_config(one, variant("b", {}, method="tcr")), "change the methods reex, tcr; give")
    refused(
        small_config(variant("a", {"kk": 1})), "unknown setting of method 'reex': 'kk'; did you"
    )
    config = small_config(one)
    refused(
        config.replaced({"method": ("none", "k=1")}),
        "method lacks 'reex', which the variants are compared with; add it",
    )
    refused(config.replaced({"method": ("none", "reex")}), "method names no variant")
    config = config.replaced({"corruptions": {"clean": True, "text": ()}})
    refused(config, "corruptions.text is empty; an ablation of text_to_image averages")
    check_ablation(config.replaced({"directions": ("image_to_text",)}))


def test_an_interrupted_ablation_goes_on(tmp_path, monkeypatch):
    """Without updates (0 steps) nothing large is compiled; the numbers are those of `none`."""
    config = small_config(variant("k=1", {"k": 1}), variant("k=20", {"k": 20}))
    changes = {"results": str(tmp_path), "progress": False, "batch_size": 8, "seeds": (0, 1)}
    changes |= {"adapt": {"steps": 0}, "data": {"num_images": 6}, "directions": ("image_to_text",)}
    config = config.replaced(changes)
    begun = []
    original = passes.measure

    def until_the_third(*arguments, **named):
        begun.append(str(arguments[4]))
        if len(begun) == 4:
            raise KeyboardInterrupt
        return original(*arguments, **named)

    monkeypatch.setattr(passes, "measure", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_ablation(config)
    folder, rows, levels = run_ablation(config)
    assert len(begun) == 4 + 3  # of six streams, three were measured before
    assert [(r["method"], r["seed"]) for r in rows] == [
        (method, seed) for method in ("none", "reex", "k=1") for seed in (0, 1)
    ]
    assert config.method == ("none", "reex", "k=1", "k=20")  # left as it was
    found = find(folder, rows, levels, default_method(config))
    assert [f.level.name for f in found] == ["none", "reex", "k=1", "k=20"]
    assert {f.recall for f in found} == {found[0].recall}
    assert [f.difference for f in found] == [0.0] * 4
