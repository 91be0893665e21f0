"""Good repairs help, drifting ones do no harm: measured on a few scenes."""

import numpy as np
import pytest

from reex_jax import load_clip
from reex_jax.corruptions.text.kinds import corrupt_text
from reex_jax.datasets.scene_captions import COLOUR_WORDS
from reex_jax.datasets.scenes import load_scenes
from reex_jax.gsr.comparison import TextEmbeddings, compare_fusions
from reex_jax.gsr.drifting import DriftingRewriter
from reex_jax.gsr.features import features_of
from reex_jax.gsr.repair import NoRewriter
from reex_jax.gsr.symspell import SymSpellRewriter
from reex_jax.retrieval.metrics import retrieval_metrics
from reex_jax.settings.choices import FUSION_NAMES, TEXT_TO_IMAGE
from reex_jax.settings.repair import FusionSettings

COLOURS = tuple(sorted({w for words in COLOUR_WORDS.values() for w in words if w.isalpha()}))


@pytest.fixture(scope="module")
def bench():
    clip, data = load_clip("bundled"), load_scenes(100, split="tune", seed=7)
    gallery = clip.encode_images([data.images[i] for i in range(100)])
    return clip, data, gallery, TextEmbeddings(clip.encode_texts)


def recalls(bench, rewriter, words, kind: str) -> dict[str, float]:
    clip, data, gallery, embed = bench
    queries = [
        caption if kind == "clean" else corrupt_text(caption, kind, 5, item_id=identity, seed=0)
        for caption, identity in zip(data.captions, data.caption_ids, strict=True)
    ]
    repairs = list(rewriter.rewrite(queries))
    found = compare_fusions(
        embed(queries),
        embed([item.repaired for item in repairs]),
        features_of(repairs, words),
        gallery,
        data.answers(TEXT_TO_IMAGE),
        float(np.exp(-clip.model.logit_scale[...])),
        FusionSettings(),
    )
    assert set(found) == set(FUSION_NAMES)
    return {name: retrieval_metrics(ranks)["recall@1"] for name, (ranks, _) in found.items()}


def test_repairs_help_and_leave_clean_queries_alone(bench, dictionary):
    rewriter = SymSpellRewriter(dictionary)
    noisy = recalls(bench, rewriter, dictionary.counts, "keyboard")
    assert noisy["dynamic"] >= noisy["original"] + 4
    assert noisy["dynamic"] >= noisy["replace"] - 1  # 500 queries: one point is five queries
    clean = recalls(bench, rewriter, dictionary.counts, "clean")
    assert clean["dynamic"] >= clean["original"] - 0.3


def test_a_drifting_rewriter_is_held(bench, dictionary):
    drifting = DriftingRewriter(SymSpellRewriter(dictionary), (COLOURS,))
    clean = recalls(bench, drifting, dictionary.counts, "clean")
    assert clean["replace"] < clean["original"] - 5  # it does harm where nothing holds it
    assert clean["dynamic"] >= clean["original"] - 0.5
    noisy = recalls(bench, drifting, dictionary.counts, "keyboard")
    assert noisy["dynamic"] >= max(noisy["original"] + 2, noisy["replace"])


def test_what_drifts():
    drifting = DriftingRewriter(NoRewriter(), (("red", "blue"),), share=1.0)
    found = next(drifting.rewrite(["a Red dog, reddish; blue"]))
    assert found.repaired == "a blue dog, reddish; red" and found.generation == 1
    half = DriftingRewriter(NoRewriter(), (("red", "blue"),), share=0.5)
    texts = [f"{i} red" for i in range(400)]
    spoilt = [item.repaired != item.text for item in half.rewrite(texts)]
    assert 160 < sum(spoilt) < 240
    assert spoilt == [item.repaired != item.text for item in half.rewrite(texts)]


def test_each_text_is_embedded_once():
    asked = []

    def encode(texts):
        asked.extend(texts)
        return np.float32([[len(text)] for text in texts]).reshape(-1, 1)

    embed = TextEmbeddings(encode)
    assert embed(["a", "bb", "a"]).tolist() == [[1], [2], [1]]
    assert embed(["bb", "a"]).tolist() == [[2], [1]] and asked == ["a", "bb"]
