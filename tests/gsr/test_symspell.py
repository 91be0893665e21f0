"""The embedded rewriter."""

import pytest

from reex_jax.gsr import symspell
from reex_jax.gsr.dictionary import load_dictionary
from reex_jax.gsr.repair import NoRewriter, Repair
from reex_jax.gsr.symspell import SymSpellRewriter, confidence_of


@pytest.fixture(scope="module")
def rewriter(dictionary) -> SymSpellRewriter:
    return SymSpellRewriter(dictionary)


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        ("an image w9th a pimk love hear6", "an image with a pink love heart"),
        ("A man ridng a hores on the baech.", "A man riding a horse on the beach."),
        ("Whiet dog, in the sn0w", "White dog, in the snow"),
        ("a #box and bl4ack!", "a box and black!"),
        ("back4gr#ou%nd", "background"),
        ("an 0ran9e 1ozenge on a 8m00th wa11", "an orange lozenge on a smooth wall"),
        ("; a red : ring ? on a wall .", "a red ring on a wall ."),
        ("two-wh8eled cart", "two-wheeled cart"),
    ],
)
def test_repairs(rewriter, text, repaired):
    result = rewriter.repair(text)
    assert result.repaired == repaired
    assert result.reason == "repaired" and 0 < result.generation <= 1


def test_the_sentence_decides(rewriter):
    # The same damaged word, three neighbours, three repairs.
    assert rewriter.repair("the finish xine").repaired == "the finish line"
    assert rewriter.repair("a coal xine").repaired == "a coal mine"
    assert rewriter.repair("at xine years old").repaired == "at nine years old"


@pytest.mark.parametrize(
    "text", ["a red ring.", "A man riding a horse", "xqzvkjw", "собака 城市", "?", "3 x 4", "!!!"]
)
def test_leaves_alone(rewriter, text):
    result = rewriter.repair(text)
    assert result.repaired == text and result.reason == "unchanged"


def test_doubt_lowers_confidence(rewriter):
    sure, unsure = rewriter.repair("a chocolqte wall"), rewriter.repair("a glass of xine")
    assert sure.generation > 0.95 > unsure.generation
    assert confidence_of([0.5, 0.5]) == pytest.approx(0.5) and confidence_of([]) == 1


def test_own_captions_change_the_repair(tmp_path):
    own = tmp_path / "captions.txt"
    own.write_text("a zorblat on a wall\n" * 50, "utf-8")
    mine = SymSpellRewriter(load_dictionary(str(own)))
    assert mine.repair("a zorbiat on a wall").repaired == "a zorblat on a wall"


def test_same_text_same_repair_in_any_order(rewriter, dictionary):
    texts = ["a rde rihg", "teh dog runz", "a rde rihg"]
    forward = {r.text: r for r in rewriter.rewrite(texts)}
    again = {r.text: r for r in SymSpellRewriter(dictionary).rewrite(texts[::-1])}
    assert forward == again
    assert SymSpellRewriter(dictionary).identity == f"symspell/3 dictionary={dictionary.digest}"


def test_words_that_are_kept_have_a_bound(dictionary, monkeypatch):
    monkeypatch.setattr(symspell, "_MOST_FOUND", 3)
    kept, texts = SymSpellRewriter(dictionary), ["teh dgo", "a blak hrse", "teh grean tre"]
    once = [SymSpellRewriter(dictionary).repair(text) for text in texts]
    assert [kept.repair(text) for text in texts * 2] == once * 2
    assert len(kept._found) <= 3


def test_none_is_the_identity():
    assert list(NoRewriter().rewrite(["a rde ring"])) == [
        Repair("a rde ring", "a rde ring", 1.0, "unchanged")
    ]
