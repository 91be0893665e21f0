"""From settings to rewriters."""

import pytest

from reex_jax.gsr.channel.completions import CompletionsScorer
from reex_jax.gsr.channel.jax_scorer import JaxScorer
from reex_jax.gsr.channel.local_scorer import LocalScorer
from reex_jax.gsr.rewriters import make_rewriter
from reex_jax.settings.choices import REWRITERS
from reex_jax.settings.repair import RepairSettings


def made(dictionary, **values):
    return make_rewriter(RepairSettings(**values), dictionary)


@pytest.mark.parametrize("rewriter", REWRITERS[1:])
def test_every_name_has_its_rewriter(rewriter, dictionary):
    found = made(dictionary, rewriter=rewriter, model="tiny", revision="abc")
    assert found.identity.startswith(rewriter)


def test_rescoring_follows_its_settings(dictionary):
    common = {"rewriter": "rescore", "model": "tiny", "revision": "abc"}
    first = made(dictionary, **common, n_best=4, model_weight=1.0, pair_weight=0.0)
    assert isinstance(first.scorer, CompletionsScorer) and first.scorer.concurrency == 8
    assert first.identity.startswith("rescore n_best=4 model_weight=1 pair_weight=0 scorer=(compl")
    second = made(dictionary, **common, scorer="transformers", batch_size=3)
    assert isinstance(second.scorer, LocalScorer) and second.scorer.batch_size == 3
    assert "n_best=16 model_weight=0.7 pair_weight=0.2 scorer=(transf" in second.identity
    third = made(dictionary, **common, scorer="jax")
    assert isinstance(third.scorer, JaxScorer) and third.batch == 256
    assert "scorer=(jax model=tiny@abc lead='A caption of a photo:')" in third.identity
