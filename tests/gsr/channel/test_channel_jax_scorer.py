"""Reading with JAX, against numbers of PyTorch (tests/data/make_llama.py)."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.gsr.channel import jax_scorer
from reex_jax.gsr.channel.jax_scorer import JaxScorer, _batches, _planted
from reex_jax.gsr.channel.reading_trees import Row
from reex_jax.gsr.channel.rescore import Scores
from reex_jax.gsr.local_model import folder_digest

TINY = Path(__file__).parents[2] / "data" / "llama"
GOLDEN = json.loads((TINY / "scores.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def scorer() -> JaxScorer:
    return JaxScorer(str(TINY))


def test_scores_are_those_of_pytorch(scorer: JaxScorer) -> None:
    found = list(scorer.score(GOLDEN["lists"]))
    for scores, expected in zip(found, GOLDEN["scores"], strict=True):
        np.testing.assert_allclose(scores.values, expected, rtol=1e-5, atol=1e-3)
        assert not scores.fault
    assert list(scorer.score([])) == []


def test_lists_do_not_depend_on_each_other(scorer: JaxScorer, monkeypatch) -> None:
    together = list(scorer.score(GOLDEN["lists"][:2]))
    (alone,) = scorer.score(GOLDEN["lists"][1:2])
    np.testing.assert_allclose(alone.values, together[1].values, rtol=1e-6, atol=1e-5)
    # A tree that would be too wide is cut into several, with the same result.
    ((head, tails),) = scorer._tokens(GOLDEN["lists"][1:2])
    monkeypatch.setattr(jax_scorer, "WIDEST", len(head) + max(map(len, tails)))
    assert len(_planted(head, tails)) == 3
    (cut,) = scorer.score(GOLDEN["lists"][1:2])
    np.testing.assert_allclose(cut.values, alone.values, rtol=1e-6, atol=1e-5)


def test_a_sentence_that_is_too_long_is_not_read(scorer: JaxScorer) -> None:
    long, short = scorer.score([["x " * 3000, "y"], GOLDEN["lists"][1]])
    assert long == Scores([], fault="too long to be read")
    np.testing.assert_allclose(short.values, GOLDEN["scores"][1], rtol=1e-5, atol=1e-3)


def test_batches_have_few_shapes() -> None:
    rows = [Row(512, [], [])] * 5 + [Row(256, [], [])] * 7
    assert [(len(part), part[0].width) for part in _batches(rows, 1024)] == [
        (2, 512), (2, 512), (1, 512), (4, 256), (2, 256), (1, 256)
    ]  # fmt: skip
    assert [len(part) for part in _batches(rows[:2], 100)] == [1, 1]


def test_identity_and_faults(scorer: JaxScorer, tmp_path: Path, monkeypatch) -> None:
    digest = folder_digest(TINY)
    assert scorer.identity == f"jax model=sha256:{digest} lead='A caption of a photo:'"
    with pytest.raises(UserError, match=r"set gsr\.revision to a commit"):
        JaxScorer("some/model")
    shutil.copytree(TINY, tmp_path / "m")
    (tmp_path / "m" / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(UserError, match=r"m/config\.json: model_type is 'gpt2'"):
        list(JaxScorer(str(tmp_path / "m")).score([["a", "b"]]))
    monkeypatch.setitem(sys.modules, "reex_jax.gsr.channel.jax_reader", None)
    with pytest.raises(UserError, match=r"gsr\.scorer is 'jax', which needs JAX and Flax"):
        list(JaxScorer(str(TINY)).score([["a", "b"]]))
