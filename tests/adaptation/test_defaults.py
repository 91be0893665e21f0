"""The table of methods and settings, against the functions that it stands for."""

from dataclasses import fields

import pytest

from reex_jax.adaptation.defaults import (
    LEARNING_RATE,
    METHODS,
    OWN_SETTINGS,
    adapt_defaults,
    check_method_names,
    default_settings,
    setting_keys,
)
from reex_jax.adaptation.make_method import make_method, own_settings
from reex_jax.adaptation.settings import AdaptSettings
from reex_jax.errors import UserError

FAST = {"name": "fast", "method": "tent", "changes": {"learning_rate": 0.01}}


def test_every_method_has_its_settings():
    assert list(OWN_SETTINGS) == list(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_settings_are_the_defaults_of_the_function(method):
    own = own_settings(method)
    assert dict(OWN_SETTINGS[method]) == own
    assert {name: type(value) for name, value in OWN_SETTINGS[method].items()} == {
        name: type(value) for name, value in own.items()
    }
    for query, settings in default_settings()[method].items():
        assert settings == {"learning_rate": LEARNING_RATE} | own, query
        make_method(method, settings)


def test_the_protocol_is_the_default_of_an_adapter():
    plain = AdaptSettings()
    adapt = adapt_defaults()
    for name in ("steps", "weight_decay", "score", "devices"):
        assert adapt[name] == getattr(plain, name)
    assert adapt["image_parameters"] == plain.parameters
    known = {field.name for field in fields(AdaptSettings)}
    parameters = {"image_parameters", "text_parameters", "stream"}
    assert set(adapt) - parameters <= known
    assert plain.learning_rate == LEARNING_RATE


def test_two_calls_share_nothing():
    default_settings()["reex"]["image"]["k"] = 99
    assert default_settings()["reex"]["image"]["k"] == own_settings("reex")["k"]


def test_every_setting_has_its_key():
    keys = setting_keys()
    assert "settings.reex.text.k" in keys and "settings.none.image.learning_rate" in keys
    assert len(keys) == 2 * sum(1 + len(own) for own in OWN_SETTINGS.values())


def check(methods=("none",), variants=(), **settings):
    check_method_names(methods, variants, default_settings() | settings)


def test_names_that_exist_pass():
    check(("none", "fast", "my.module:method"), (FAST,))
    check(("fast",), (FAST | {"group": "rates"},))
    check(mine={"image": {"strength": 1.0}, "text": {}})  # its function knows its settings


@pytest.mark.parametrize(
    ("methods", "variants", "message"),
    [
        (("tnet",), (), "unknown value of method: 'tnet'; did you mean 'tent'"),
        (("fats",), (FAST,), "unknown value of method: 'fats'; did you mean 'fast'"),
        (("fast",), (FAST | {"method": "tnt"},), "method of variant 'fast': 'tnt'; did you mean"),
        ((), (FAST | {"method": 5},), "unknown method of variant 'fast': 5; allowed: "),
        ((), (FAST, FAST), r"variants has the names \['fast', 'fast'\]; each must differ"),
        ((), (FAST | {"name": "tent"},), r"has the names \['tent'\]; each must differ, also from"),
        ((), ({"name": "fast"},), "'fast'}; each needs name, method and changes"),
        (
            (),
            ({"name": "a", "method": "tent", "chnges": {}},),
            "each needs name, method and changes",
        ),
        ((), ("fast",), "variants has 'fast'; each needs name, method and changes"),
        ((), "fast", "variants is 'fast'; it must be a list"),
        ((), (FAST | {"name": 5},), "the name of a variant is 5; it must be a text"),
        ((), (FAST | {"name": " "},), "the name of a variant is empty"),
        ((), (FAST | {"changes": 5},), "variant 'fast' changes 5; write settings and their"),
    ],
)
def test_names_that_do_not_exist_are_refused(methods, variants, message):
    with pytest.raises(UserError, match=message):
        check(methods, variants)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tent": {"image": {"lr": 1}, "text": {}}}, "key of settings.tent.image: 'lr'; "),
        (
            {"sar": {"image": {"rhoo": 1}, "text": {}}},
            "settings.sar.image: 'rhoo'; did you mean 'r",
        ),
        ({"tent": {"image": {}}}, "settings.tent has image; it must have image and text"),
        ({"mine": {"images": {}, "text": {}}}, "settings.mine has images, text; it must have"),
        ({"mine": 5}, "settings.mine has 5; it must have image and text"),
        ({"tent": {"image": 5, "text": {}}}, "settings.tent.image is 5; it must hold settings"),
    ],
)
def test_settings_that_no_method_has_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        check(**settings)
