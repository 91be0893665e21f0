"""Runs whose text queries come with repairs, on two dozen scenes."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.adaptation.fused import FusedTexts
from reex_jax.benchmark.run import run_benchmark
from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError
from reex_jax.gsr import repairs as repairs_module
from reex_jax.gsr.dictionary import load_dictionary
from reex_jax.gsr.features import features_of
from reex_jax.gsr.fusion import FUSIONS
from reex_jax.gsr.repairs import Repairs
from reex_jax.gsr.symspell import SymSpellRewriter
from reex_jax.models.clip.api import load_clip
from reex_jax.queries.own import own_query
from reex_jax.queries.pipeline import prepared_batches
from reex_jax.queries.prepare import repaired_preparation
from reex_jax.queries.streams import Stream
from reex_jax.settings.repair import FusionSettings

NUM_IMAGES = 24


@pytest.fixture(scope="module", autouse=True)
def dictionary():
    """One for all tests: its index of similar words takes seconds to make."""
    with pytest.MonkeyPatch.context() as patch:
        loaded = load_dictionary()
        patch.setattr(repairs_module, "load_dictionary", lambda captions: loaded)
        yield loaded


@pytest.fixture(scope="module")
def make_config(small_config, tmp_path_factory):
    """(results, rewriter, fusion, **changes) -> a configuration; all of them share a cache."""
    cache = str(tmp_path_factory.mktemp("repairs") / "cache")

    def make(results, rewriter, fusion="dynamic", **changes):
        gsr = {"rewriter": rewriter, "fusion": fusion, "cache": cache}
        data = {"num_images": NUM_IMAGES}
        record = {"details": False}  # which compiles more than these tests look at
        return small_config(
            results, data=data, corruptions={"image": ()}, gsr=gsr, record=record, **changes
        )

    return make


@pytest.fixture(scope="module")
def without(make_config, tmp_path_factory):
    """The rows of a run without repairs; by method and corruption."""
    config = make_config(tmp_path_factory.mktemp("without"), "", method=("none", "tent"))
    return by_stream(run_benchmark(config)[1])


def by_stream(rows):
    return {(row["method"], row["direction"], row["corruption"]): row for row in rows}


def test_repairs_raise_recall_and_the_run_says_so(
    make_config, without, dictionary, tmp_path, capsys
):
    folder, rows = run_benchmark(make_config(tmp_path, "symspell", method=("none", "tent")))
    said = capsys.readouterr().out
    count = 5 * NUM_IMAGES
    assert f"\n{2 * count} different text queries in the repair cache: " in said
    assert (
        said.count(f"0 whose reply was not used (symspell/3 dictionary={dictionary.digest})") == 1
    )
    environment = json.loads((folder.path / "environment.json").read_text())
    assert environment["rewriter"] == f"symspell/3 dictionary={dictionary.digest}"
    found = by_stream(rows)
    for method in ("none", "tent"):
        noisy, clean = (method, "text_to_image", "keyboard"), (method, "text_to_image", "clean")
        assert found[noisy]["recall@1"] > without[noisy]["recall@1"] + 1
        assert found[clean]["recall@1"] >= without[clean]["recall@1"] - 1
        image = (method, "image_to_text", "clean")
        assert found[image]["mAP"] == without[image]["mAP"] and image in without
    ranks = fused_ranks(dictionary)
    np.testing.assert_array_equal(np.load(folder.ranks(found["none", *noisy[1:]])), ranks)


def fused_ranks(dictionary):
    """Of the right image under keyboard noise: each query fused by hand, each ranking sorted."""
    clip, data = load_clip(batch_size=8), load_scenes(NUM_IMAGES)
    queries = [
        own_query(data, Stream("text_to_image", "keyboard", 5, 0), i) for i in range(5 * NUM_IMAGES)
    ]
    repairs = [SymSpellRewriter(dictionary).repair(query) for query in queries]
    images = clip.encode_images([data.images[i] for i in range(NUM_IMAGES)])
    fused, weights = FUSIONS["dynamic"](
        jnp.asarray(clip.encode_texts(queries)),
        jnp.asarray(clip.encode_texts([repair.repaired for repair in repairs])),
        jax.tree.map(jnp.asarray, features_of(repairs, dictionary.counts)),
        jnp.asarray(images),
        jnp.float32(clip.temperature),
        FusionSettings(),
    )
    assert 0.2 < np.mean(weights) < 0.99
    order = np.argsort(-np.asarray(fused) @ images.T, axis=1, kind="stable")
    return np.argmax(order == data.caption_image[:, None], axis=1)


def test_fusion_that_keeps_the_original_gives_the_numbers_without(
    make_config, without, numbers, tmp_path
):
    changes = {"method": ("none", "tent"), "directions": ("text_to_image",)}
    _, rows = run_benchmark(make_config(tmp_path, "symspell", "original", **changes))
    assert len(rows) == 4
    expected = [without[row["method"], row["direction"], row["corruption"]] for row in rows]
    assert numbers(rows) == numbers(expected)


def test_queries_that_repair_themselves_need_no_cache(make_config, without, numbers, tmp_path):
    config = make_config(tmp_path, "none", "replace", directions=("text_to_image",))
    _, rows = run_benchmark(config)
    expected = [without["none", "text_to_image", c] for c in ("clean", "keyboard")]
    assert numbers(rows) == numbers(expected)


def test_settings_of_the_server_change_no_run_and_those_of_fusion_do(make_config, tmp_path):
    def folder(rewriter="none", **gsr):
        config = make_config(tmp_path, rewriter, directions=("text_to_image",), max_queries=4)
        config = config.replaced({"corruptions": {"text": ()}, "gsr": gsr})
        return run_benchmark(config)[0].path.name

    first = folder()
    assert folder(cache=str(tmp_path / "c"), concurrency=3, timeout_s=1.0, attempts=1) == first
    assert folder(batch_size=3, price_per_million=(1.0, 2.0)) == first
    assert len({first, folder(w_max=0.5), folder(fusion="replace"), folder("symspell")}) == 4
    off = folder("")
    assert off == folder("", w_max=0.5, fusion="replace") != first


def test_a_missing_cache_is_refused_with_its_command(make_config, tmp_path):
    data, root = load_scenes(2), tmp_path / "pictures"
    root.mkdir()
    lines = []
    for i in range(2):
        data.images[i].save(root / f"{i}.png")
        captions = [data.captions[j] for j in data.captions_of(i)]
        lines.append(json.dumps({"image": f"{i}.png", "caption": captions}))
    (root / "captions.jsonl").write_text("\n".join(lines) + "\n")
    changes = {"data": {"name": "folder", "root": str(root)}}
    changes |= {"gsr": {"cache": str(tmp_path / "cache")}}
    config = make_config(tmp_path / "results", "symspell").replaced(changes)
    options = ["--config=experiments/scenes_c.py", f"--config.data.root={root}"]
    with pytest.raises(UserError) as refused:
        run_benchmark(config, options)
    assert str(refused.value).startswith("20 of 20 text queries have no row in the repair")
    assert str(refused.value).endswith(f"python -m reex_jax.gsr {' '.join(options)}")
    with pytest.raises(UserError, match="directions has no text_to_image"):
        config.replaced({"directions": ("image_to_text",)})


def test_queries_and_repairs_become_the_ids_that_the_model_embeds(dictionary):
    clip = load_clip(batch_size=4)
    texts = ["a rde circel", "a red circle", "two bleu rngs above a lareg gren sqaure", "a  ."]
    by_text = {text: SymSpellRewriter(dictionary).repair(text) for text in texts}
    repairs = Repairs("symspell", by_text, dictionary.counts)
    prepare, stack = repaired_preparation(clip, repairs)
    batches = prepared_batches(texts[:3], prepare, batch_size=2, workers=2, stack=stack)
    for batch, own in zip(batches, (texts[:2], [texts[2]] * 2), strict=True):
        repaired, features = repairs.lookup(own)
        expected = FusedTexts(clip.tokens_of(own), clip.tokens_of(repaired), features)
        assert jax.tree.structure(batch.inputs) == jax.tree.structure(expected)
        for a, b in zip(*map(jax.tree.leaves, (batch.inputs, expected)), strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
    bad = prepared_batches(["a new one"], prepare, batch_size=2, workers=1, stack=stack)
    with pytest.raises(UserError, match="a new one: the repair cache has no row for the query"):
        next(bad)


def test_both_are_measured_beside_each_other(make_config, without, numbers, tmp_path):
    config = make_config(tmp_path, "symspell", method=("none", "tent"))
    alone = by_stream(run_benchmark(config)[1])
    both = by_stream(run_benchmark(config.replaced({"gsr": {"compare": True}}))[1])
    assert len(both) == len(without) + 4
    for key, row in both.items():
        method, *stream = key
        if method.endswith(" + repair"):
            expected = alone[method.removesuffix(" + repair"), *stream] | {"method": method}
        else:
            expected = without[key]
        assert numbers([row]) == numbers([expected])
