"""Looking repairs up, and making or naming what is missing."""

import numpy as np
import pytest

from reex_jax.config import check_config, default_config
from reex_jax.errors import UserError
from reex_jax.gsr import refinements
from reex_jax.gsr.refinements import ensure_refinements
from reex_jax.gsr.settings import FusionSettings, fusion_settings

TEXTS = ["a rde hosre", "a red horse", "a rde hosre"]


@pytest.fixture(autouse=True)
def one_index(monkeypatch, dictionary):
    """The index of similar words takes seconds to make, and is the same for every test."""
    monkeypatch.setattr(refinements, "load_dictionary", lambda captions: dictionary)


@pytest.fixture
def config(tmp_path):
    config = default_config()
    config.gsr.rewriter = "symspell"
    config.gsr.cache = str(tmp_path / "cache")
    config.progress = False
    return config


def test_scenes_make_their_cache_once(config, capsys):
    made = ensure_refinements(config, TEXTS)
    assert "asked 2: 1 repaired, 1 unchanged" in capsys.readouterr().out
    texts, features = made.lookup(TEXTS[1:])
    assert texts == ["a red horse", "a red horse"]
    np.testing.assert_allclose(features.oov, [0, 2 / 3], rtol=1e-6)
    assert made.describe().startswith(
        "2 different text queries in the refinement cache: 1 repaired, 1 unchanged, 0 whose"
    )
    ensure_refinements(config, TEXTS[:1])
    assert capsys.readouterr().out == ""
    with pytest.raises(UserError, match="no row for the query 'a new one'"):
        made.lookup(["a new one"])


def test_a_missing_cache_names_its_command(config):
    config.data.name = "folder"
    arguments = ["--config=experiments/scenes_c.py", "--config.gsr.rewriter=symspell"]
    with pytest.raises(UserError) as error:
        ensure_refinements(config, TEXTS, arguments)
    assert str(error.value).startswith("2 of 2 text queries have no row in the refinement cache")
    assert str(error.value).endswith(
        f"make them with: python -m reex_jax.gsr {' '.join(arguments)}"
    )
    config.gsr.rewriter, config.gsr.model, config.data.name = "openai", "m", "scenes"
    with pytest.raises(UserError, match=r"for 'openai model=m .*--config=experiments/<the same"):
        ensure_refinements(config, TEXTS)


def test_none_needs_no_cache(config, tmp_path):
    config.gsr.rewriter = "none"
    texts, features = ensure_refinements(config, TEXTS).lookup(TEXTS)
    assert texts == TEXTS and list(features.edit) == [0, 0, 0]
    assert not (tmp_path / "cache").exists()


def test_constants_come_from_the_configuration(config):
    assert fusion_settings(config.gsr) == FusionSettings()
    config.gsr.w_max = 0.4
    assert fusion_settings(config.gsr).w_max == 0.4


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rewriter", "gpt", "unknown value of gsr.rewriter: 'gpt'"),
        ("fusion", "dynamik", "did you mean 'dynamic'"),
        ("cache", "", "gsr.cache is empty"),
        ("w_max", 1.5, r"gsr.w_max is 1.5; it must be a number above 0 and at most 1"),
        ("oov_scale", 0, r"gsr.oov_scale is 0"),
        ("samples", 0, "gsr.samples is 0"),
        ("samples", 3, "gsr.temperature 0, so all samples would be equal"),
        ("base_url", "localhost:8000", "must begin with http:// or https://"),
        ("timeout_s", 0, "gsr.timeout_s is 0"),
        ("price_per_million", (1,), "list of 2 numbers"),
    ],
)
def test_impossible_settings(config, key, value, message):
    with config.ignore_type():
        config.gsr[key] = value
    with pytest.raises(UserError, match=message):
        check_config(config)


def test_settings_that_do_not_fit(config):
    config.directions = ("image_to_text",)
    with pytest.raises(UserError, match="directions has no text_to_image"):
        check_config(config)
    config.gsr.rewriter = ""
    check_config(config)
    config.directions = ("text_to_image",)
    for rewriter in ("openai", "transformers"):
        config.gsr.rewriter = rewriter
        with pytest.raises(UserError, match=r"gsr\.model must name the model"):
            check_config(config)
