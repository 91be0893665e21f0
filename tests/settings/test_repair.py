"""Settings `gsr.*`: which are refused, and the constants of fusion among them."""

import pytest

from reex_jax.errors import UserError
from reex_jax.settings.repair import FusionSettings, RepairSettings


def test_constants_of_fusion_are_among_them():
    assert RepairSettings().fusion_settings == FusionSettings()
    assert RepairSettings(w_max=0.4).fusion_settings == FusionSettings(w_max=0.4)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rewriter", "gpt", "unknown value of gsr.rewriter: 'gpt'"),
        ("fusion", "dynamik", "did you mean 'dynamic'"),
        ("cache", "", "gsr.cache is empty"),
        ("w_max", 1.5, r"gsr.w_max is 1.5; it must be a number above 0 and at most 1"),
        ("oov_scale", 0, r"gsr.oov_scale is 0"),
        ("scorer", "echo", "unknown value of gsr.scorer: 'echo'"),
        ("n_best", 1, r"gsr.n_best is 1; it must be a whole number in 2..64"),
        ("model_weight", 6, "gsr.model_weight is 6"),
        ("pair_weight", -1, "gsr.pair_weight is -1"),
        ("samples", 0, "gsr.samples is 0"),
        ("samples", 3, "gsr.temperature 0, so all samples would be equal"),
        ("base_url", "localhost:8000", "must begin with http:// or https://"),
        ("timeout_s", 0, "gsr.timeout_s is 0"),
        ("price_per_million", (1,), "list of 2 numbers"),
    ],
)
def test_impossible_settings(key, value, message):
    with pytest.raises(UserError, match=message):
        RepairSettings.from_dict({"rewriter": "symspell", key: value}, "gsr.")


@pytest.mark.parametrize("rewriter", ["openai", "transformers", "rescore"])
def test_a_language_model_needs_its_name(rewriter):
    with pytest.raises(UserError, match=r"gsr\.model must name the model"):
        RepairSettings(rewriter=rewriter)
    RepairSettings(rewriter=rewriter, model="tiny")


def test_nothing_is_refused_where_nothing_repairs():
    RepairSettings(samples=3, base_url="localhost:8000")
