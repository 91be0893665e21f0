"""Looking repairs up, and making or naming what is missing."""

import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.gsr import repairs
from reex_jax.gsr.repairs import ensure_repairs
from reex_jax.settings.repair import RepairSettings

TEXTS = ["a rde hosre", "a red horse", "a rde hosre"]


@pytest.fixture(autouse=True)
def one_index(monkeypatch, dictionary):
    """The index of similar words takes seconds to make, and is the same for every test."""
    monkeypatch.setattr(repairs, "load_dictionary", lambda captions: dictionary)


@pytest.fixture
def cache(tmp_path):
    return str(tmp_path / "cache")


def test_a_cache_is_made_at_once_where_that_is_wanted(cache, capsys):
    settings = RepairSettings(rewriter="symspell", cache=cache)
    made = ensure_repairs(settings, TEXTS, at_once=True, progress=False)
    assert "asked 2: 1 repaired, 1 unchanged" in capsys.readouterr().out
    texts, features = made.lookup(TEXTS[1:])
    assert texts == ["a red horse", "a red horse"]
    np.testing.assert_allclose(features.oov, [0, 2 / 3], rtol=1e-6)
    assert made.describe().startswith(
        "2 different text queries in the repair cache: 1 repaired, 1 unchanged, 0 whose"
    )
    ensure_repairs(settings, TEXTS[:1])
    assert capsys.readouterr().out == ""
    with pytest.raises(UserError, match="no row for the query 'a new one'"):
        made.lookup(["a new one"])


def test_the_channel_mends_at_once_too(cache, capsys):
    settings = RepairSettings(rewriter="channel", cache=cache)
    made = ensure_repairs(settings, TEXTS, at_once=True, progress=False)
    assert made.identity.startswith("channel/2 language=")
    assert made.lookup(TEXTS)[0] == ["a red horse"] * 3


def test_a_missing_cache_names_its_command(cache):
    arguments = ["--config=experiments/scenes_c.py", "--config.gsr.rewriter=symspell"]
    with pytest.raises(UserError) as error:
        ensure_repairs(RepairSettings(rewriter="symspell", cache=cache), TEXTS, arguments)
    assert str(error.value).startswith("2 of 2 text queries have no row in the repair cache")
    assert str(error.value).endswith(
        f"make them with: python -m reex_jax.gsr {' '.join(arguments)}"
    )
    openai = RepairSettings(rewriter="openai", model="m", cache=cache)
    with pytest.raises(UserError, match=r"for 'openai model=m .*--config=experiments/<the same"):
        ensure_repairs(openai, TEXTS, at_once=True)


def test_none_needs_no_cache(cache, tmp_path):
    repaired = ensure_repairs(RepairSettings(rewriter="none", cache=cache), TEXTS)
    texts, features = repaired.lookup(TEXTS)
    assert texts == TEXTS and list(features.edit) == [0, 0, 0]
    assert not (tmp_path / "cache").exists()
