"""Repairs within a request: the embedded rewriter, and a language model's from the cache only."""

import pytest

from reex_jax.gsr.cache import Cache
from reex_jax.gsr.dictionary import load_dictionary
from reex_jax.gsr.repair import Repair
from reex_jax.gsr.rewriters import make_rewriter
from reex_jax.service import texts as texts_module
from reex_jax.service.texts import TextRepairs, load_repairs
from reex_jax.settings.repair import RepairSettings


class Noted:
    identity = "noted"

    def __init__(self):
        self.seen = []

    def rewrite(self, texts):
        for text in texts:
            self.seen.append(text)
            yield Repair(text, text.upper(), 0.5, "repaired")


class Words:
    counts = frozenset({"a", "ring"})


def test_what_is_known_is_not_asked_again(monkeypatch):
    monkeypatch.setattr(texts_module, "_KEPT", 2)
    rewriter = Noted()
    repairs = TextRepairs(rewriter, Words, {"a red": Repair("a red", "a ring", 0.9, "repaired")})
    for text in ("a", "a", "a red", "ring", "a", "a ring"):
        repairs.repair(text)
    assert rewriter.seen == ["a", "ring", "a", "a ring"]
    found = repairs.repair("a rinf")
    oov, _, _, generation = found.features
    assert oov == pytest.approx(0.5) and generation == pytest.approx(0.5)


def test_a_language_model_is_never_asked(tmp_path, monkeypatch):
    settings = RepairSettings(rewriter="openai", model="m", cache=str(tmp_path))
    rewriter = make_rewriter(settings, load_dictionary())
    with Cache(tmp_path).writer(rewriter.identity) as writer:
        writer.add(Repair("teh cat", "the cat on a mat", 0.7, "repaired"))
    channel = Noted()
    monkeypatch.setattr(
        texts_module,
        "make_rewriter",
        lambda s, d: rewriter if s.rewriter == "openai" else channel,
    )
    repairs = load_repairs(settings)
    assert repairs.repair("teh cat").repair.repaired == "the cat on a mat"
    assert repairs.repair("teh dog").repair.repaired == "TEH DOG"
    assert channel.seen == ["teh dog"]


def test_without_a_rewriter_nothing_is_repaired():
    assert load_repairs(RepairSettings()) is None
