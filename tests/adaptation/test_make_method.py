"""Every setting of every method has a range, and a value outside is refused by name."""

import math
from dataclasses import asdict

import pytest

from reex_jax.adaptation.make_method import METHODS, find_method, make_method, own_settings
from reex_jax.adaptation.objective import Objective
from reex_jax.adaptation.settings import SHARED, AdaptSettings
from reex_jax.errors import UserError

OWN = [(method, name) for method in METHODS for name in own_settings(method)]
SHARES = {"momentum", "share", "quantile", "entropy_share", "weight_share", "redundancy"}
NOT_EMPTY = {"temperature", "relative_temperature", "rho", "learning_rate"}


def wrong_values(name, default):
    """Values of each kind that no setting with this default may have."""
    if isinstance(default, str):
        return ["nonsense", 3, None]
    wrong = [-1, math.nan, math.inf, "1", None, True, [default]]
    if isinstance(default, int):
        wrong += [default + 0.5, float(default)]
    if name in NOT_EMPTY or name in ("p", "m", "batches", "batch_size"):
        wrong.append(0)
    if name in SHARES:
        wrong.append(1.01)
    return wrong


@pytest.mark.parametrize("method", METHODS)
def test_defaults_and_their_like_are_accepted(method):
    objective, shared = make_method(method, own_settings(method) | {"steps": 1})
    assert isinstance(objective, Objective) and shared == AdaptSettings(steps=1)
    # A command line gives whole numbers where a float would do.
    whole = {n: 1 for n, v in own_settings(method).items() if isinstance(v, float)}
    assert isinstance(make_method(method, whole)[0], Objective)


@pytest.mark.parametrize("method, name", OWN)
def test_own_settings_out_of_range_are_refused_by_name(method, name):
    for value in wrong_values(name, own_settings(method)[name]):
        with pytest.raises(UserError, match=rf"\b{name}\b"):
            make_method(method, {name: value})


@pytest.mark.parametrize("name", SHARED)
def test_shared_settings_out_of_range_are_refused_by_name(name):
    for value in wrong_values(name, asdict(AdaptSettings())[name]):
        with pytest.raises(UserError, match=rf"\b{name}\b"):
            make_method("tent", {name: value})


def test_the_protocol_of_tcr_is_the_default():
    assert asdict(AdaptSettings()) == {
        "learning_rate": 3e-4,
        "rate_batch": 0,
        "weight_decay": 1e-4,
        "steps": 3,
        "parameters": "layer_norms",
        "score": "last_forward",
        "batch_size": 64,
        "devices": 1,
        "seed": 0,
    }


@pytest.mark.parametrize("method", METHODS)
def test_every_method_says_where_it_is_from(method):
    documentation = find_method(method).__doc__
    if method == "rest":
        assert "EXPERIMENTAL" in documentation
    if method not in ("none", "reex"):
        assert "et al." in documentation
