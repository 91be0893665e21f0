"""From names to objectives: settings are checked, and so are the classes of a user's methods."""

import math
import sys
from dataclasses import asdict, fields

import pytest

from reex_jax.adaptation.make_method import find_method, make_method, settings_class
from reex_jax.adaptation.objective import Objective
from reex_jax.errors import UserError
from reex_jax.settings.adaptation import AdaptSettings
from reex_jax.settings.fields import Settings
from reex_jax.settings.methods import METHODS

DEFAULTS = {method: settings_class(method)().to_dict() for method in METHODS}
OWN = [(method, name) for method, own in DEFAULTS.items() for name in own]
SHARES = {"momentum", "share", "quantile", "entropy_share", "weight_share", "redundancy"}
SHARES |= {"source_decay"}
NOT_EMPTY = {"relative_temperature", "rho", "learning_rate"}


def wrong_values(name, default):
    """Values of each kind that no setting with this default may have."""
    if isinstance(default, str | bool):
        return ["nonsense", 3, None]
    wrong = [-1, math.nan, math.inf, "1", None, True, [default]]
    if isinstance(default, int):
        wrong += [default + 0.5, float(default)]
    if name in NOT_EMPTY or name in ("p", "m", "batches", "batch_size", "full_batch"):
        wrong.append(0)
    if name in SHARES:
        wrong.append(1.01)
    return wrong


@pytest.mark.parametrize("method", METHODS)
def test_defaults_and_their_like_are_accepted(method):
    objective, own, shared = make_method(method, DEFAULTS[method] | {"steps": 1})
    assert isinstance(objective, Objective) and shared == AdaptSettings(steps=1)
    assert own == settings_class(method)()
    # A command line gives whole numbers where a float would do.
    whole = {n: 1 for n, v in DEFAULTS[method].items() if isinstance(v, float)}
    assert all(isinstance(getattr(make_method(method, whole)[1], name), float) for name in whole)


@pytest.mark.parametrize("method, name", OWN)
def test_own_settings_out_of_range_are_refused_by_name(method, name):
    for value in wrong_values(name, DEFAULTS[method][name]):
        with pytest.raises(UserError, match=rf"\b{name}\b"):
            make_method(method, {name: value})


@pytest.mark.parametrize("name", [field.name for field in fields(AdaptSettings)])
def test_shared_settings_out_of_range_are_refused_by_name(name):
    for value in wrong_values(name, asdict(AdaptSettings())[name]):
        with pytest.raises(UserError, match=rf"\b{name}\b"):
            make_method("tent", {name: value})


def test_the_protocol_of_tcr_is_the_default():
    assert asdict(AdaptSettings()) == {
        "rate_batch": 0,
        "last_layers": 0,
        "remat": "dots",
        "weight_decay": 1e-4,
        "steps": 3,
        "parameters": "layer_norms",
        "score": "last_forward",
        "batch_size": 64,
        "devices": 1,
        "seed": 0,
    }
    rates = {method: own.get("learning_rate") for method, own in DEFAULTS.items()}
    assert rates.pop("none") is None and rates.pop("reex") == 3e-2
    assert set(rates.values()) == {3e-4}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_says_where_it_is_from(method):
    documentation = find_method(method).__doc__
    if method == "rest":
        assert "EXPERIMENTAL" in documentation
    if method not in ("none", "reex"):
        assert "et al." in documentation


@pytest.mark.parametrize("method", ["tent", "reex"])
def test_rates_beyond_reason_are_refused(method):
    assert make_method(method, {"learning_rate": 1.0})[1].learning_rate == 1.0
    for rate in (0.0, 1.01, 1e30, math.inf):
        said = r"learning_rate is .*; it must be a number above 0 and at most 1"
        with pytest.raises(UserError, match=said):
            make_method(method, {"learning_rate": rate})


def test_the_source_model_has_no_rate():
    with pytest.raises(UserError, match="unknown setting of method 'none': 'learning_rate';"):
        make_method("none", {"learning_rate": 1.0})


OWN_METHODS = """
from dataclasses import dataclass
from reex_jax.settings.fields import Settings, setting
from reex_jax.settings.methods import Method

@dataclass(frozen=True)
class Other(Settings):
    pass

@dataclass(frozen=True)
class Steps(Method):
    steps: int = setting(1, "of mine")

class Plain(Method):
    mine: float = setting(1.0, "of mine")

def bare(settings): ...
def other(settings: Other): ...
def unknown(settings: "Nowhere"): ...
def same_name(settings: Steps): ...
def plain(settings: Plain): ...
def nothing(settings: Method): ...
"""


@pytest.mark.parametrize(
    "name, message",
    [
        ("bare", r"its first parameter must be annotated with the class of its settings"),
        ("other", r"a subclass of reex_jax\.settings\.methods\.Method; see docs/extending\.md"),
        ("unknown", r"its first parameter must be annotated"),
        ("same_name", r"its setting 'steps' needs a name of its own"),
        ("plain", r"Plain needs @dataclass\(frozen=True\)"),
        ("nothing", r"method 'methods_of_mine:nothing' made a NoneType, not an Objective"),
    ],
)
def test_methods_without_a_class_of_settings_are_refused(name, message, tmp_path, monkeypatch):
    (tmp_path / "methods_of_mine.py").write_text(OWN_METHODS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "methods_of_mine", raising=False)
    with pytest.raises(UserError, match=message):
        make_method(f"methods_of_mine:{name}", {})


def test_settings_are_typed():
    assert issubclass(settings_class("reex"), Settings)
    assert settings_class("reex")().k == 20
