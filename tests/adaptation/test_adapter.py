"""The public adapter on the tiny model: searching, and refusing what cannot be right."""

import jax
import numpy as np
import pytest
from flax import nnx
from PIL import Image

import reex_jax
from reex_jax import Adapter, load_clip
from reex_jax.adaptation.batches import padded_rows
from reex_jax.errors import UserError


@pytest.fixture(scope="module")
def adapter(tiny, golden):
    """One compiled adapter for text queries; tests reset it first."""
    return Adapter(
        tiny,
        golden["image_embeds"],
        query="text",
        batch_size=4,
        learning_rate=1e-2,
        steps=2,
        k=3,
        adam_eps=1e-6,
        full_batch=4,
    )


@pytest.fixture(scope="module")
def tokens(golden):
    return golden["tokens"].astype(np.int32)


@pytest.fixture(scope="module")
def pixels(golden):
    return golden["images"].transpose(0, 2, 3, 1)


@pytest.fixture(scope="module")
def plain(tiny, golden):
    """An adapter for images that never adapts."""
    return Adapter(tiny, golden["text_embeds"], query="image", method="none", batch_size=4)


def test_the_default_method_is_reex(adapter):
    assert adapter._method == "reex"
    assert reex_jax.Adapter is Adapter and "Adapter" in dir(reex_jax)


def test_search_ranks_the_adapted_similarities(adapter, tokens, golden):
    adapter.reset()
    first, second = adapter.similarities(tokens[:4]), adapter.similarities(tokens[4:7])
    assert first.shape == (4, 96) and second.shape == (3, 96) and second.dtype == np.float32
    assert not np.allclose(second, golden["text_embeds"][4:7] @ golden["image_embeds"].T, atol=1e-3)
    adapter.reset()
    for queries, scores, k in ((tokens[:4], first, 5), (tokens[4:7], second, 96)):
        result = adapter.search(queries, k=k)
        corrected = scores - np.asarray(adapter.correction())[None]
        order = np.argsort(-corrected, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(result.indices[:, :5], order[:, :5])
        np.testing.assert_allclose(
            result.scores, np.take_along_axis(scores, result.indices, axis=1), atol=1e-6
        )
        assert result.indices.dtype == np.int32 and result.scores.dtype == np.float32
        assert set(result.diagnostics) == {"loss", "confident", "skipped", "restored"}
        assert 0 <= result.diagnostics["confident"] <= 1 and result.diagnostics["skipped"] == 0
        assert np.isfinite(result.diagnostics["loss"])
    assert adapter.state.batches == 2


def test_pixels_may_be_normalised_on_the_device(tiny, plain):
    crops = np.random.default_rng(0).integers(0, 256, (3, *tiny_shape(tiny)), dtype=np.uint8)
    pixels = np.asarray(tiny.normalised(crops))
    np.testing.assert_allclose(plain.embed(crops), plain.embed(pixels), rtol=0, atol=1e-6)
    with pytest.raises(UserError, match=r"pixels have shape \[3, 24, 8, 3\], but this model takes"):
        plain.embed(crops[:, :, :8])


def tiny_shape(tiny):
    side = tiny.config.vision.image_size
    return side, side, 3


def test_ranking_learns_nothing_and_repeats(adapter, tokens, golden):
    """`adapt` then `rank` is `search`; what does not learn leaves every bit of the state."""
    adapter.reset()
    wanted = adapter.search(tokens[:3], k=5)
    adapter.reset()
    embeddings, diagnostics = adapter.adapt(tokens[:3])
    before = jax.device_get(adapter.state)
    for result in (adapter.rank(embeddings, 5), adapter.rank(np.asarray(embeddings), np.int64(5))):
        np.testing.assert_array_equal(result.indices, wanted.indices)
        np.testing.assert_array_equal(result.scores, wanted.scores)
        assert result.diagnostics == {}
    assert diagnostics == wanted.diagnostics
    still = [adapter.search(tokens[:3], k=5, learn=False) for _ in range(2)]
    np.testing.assert_array_equal(still[0].indices, still[1].indices)
    np.testing.assert_array_equal(still[0].scores, still[1].scores)
    scores = adapter.similarities(tokens[:3], learn=False)
    of_those = np.take_along_axis(scores, still[0].indices, axis=1)
    np.testing.assert_allclose(of_those, still[0].scores, atol=1e-6)
    ranks, none = adapter.ranks(tokens[:3], still[0].indices[:, :2], learn=False)
    np.testing.assert_array_equal(ranks["calibrated"], [[0, 1]] * 3)
    order = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    plain = np.take_along_axis(order, still[0].indices[:, :2], axis=1)
    np.testing.assert_array_equal(ranks["plain"], plain)
    assert none == {"changed": 0}
    assert adapter.rank(np.ones((0, 32), np.float32)).indices.shape == (
        0,
        10,
    )
    after = jax.device_get(adapter.state)
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(a, b)


def test_embedding_takes_what_was_learned(adapter, tiny, tokens):
    adapter.reset()
    plain = adapter.embed(tokens[:3])
    assert plain.shape == (3, 32) and isinstance(plain, jax.Array)
    np.testing.assert_allclose(plain, tiny.encode_tokens(tokens[:3]), atol=1e-6)
    adapter.adapt(tokens[:4])
    assert np.abs(adapter.embed(tokens[:3]) - plain).max() > 1e-3


def test_a_seed_draws_otherwise_without_a_new_program(tiny, golden, tokens, compilations):
    settings = {"strategy": "random_m", "m": 1, "k": 1, "steps": 1, "batch_size": 8}
    settings |= {"learning_rate": 1e-2, "query": "text", "adam_eps": 1e-6, "full_batch": 8}
    adapter = Adapter(tiny, golden["image_embeds"], **settings)

    def run(seed=None):
        adapter.reset(seed)
        adapter.adapt(tokens[:8])
        return adapter.similarities(tokens[8:16])

    first = run()
    with compilations() as names:
        found = {seed: run(seed) for seed in (0, 1, 2)}
    assert not names
    np.testing.assert_array_equal(found[0], first)
    assert np.abs(found[1] - first).max() > 1e-5 and np.abs(found[2] - found[1]).max() > 1e-5
    other = Adapter(tiny, golden["image_embeds"], seed=2, **settings)
    other.adapt(tokens[:8])
    assert other.state.seed == 2
    np.testing.assert_array_equal(other.similarities(tokens[8:16]), found[2])
    with pytest.raises(UserError, match="seed is -1; it must be a whole number"):
        adapter.reset(seed=-1)


def test_the_first_device_holds_the_gallery_once(tiny, golden):
    gallery = np.repeat(golden["text_embeds"], 50, axis=0)
    before = {id(array) for array in jax.live_arrays()}
    adapter = Adapter(tiny, gallery, query="image", batch_size=4)
    large = [x for x in jax.live_arrays() if id(x) not in before and x.nbytes >= gallery.nbytes]
    assert len({x.unsafe_buffer_pointer() for x in large}) == 1
    np.testing.assert_array_equal(adapter.gallery, gallery)


def test_ten_results_come_unless_asked_otherwise(plain, pixels):
    assert plain.search(pixels[:1]).indices.shape == (1, 10)


def test_adapt_gives_unit_embeddings_of_the_real_queries(adapter, tokens, golden):
    adapter.reset()
    scores = adapter.similarities(tokens[:3])
    adapter.reset()
    embeddings, diagnostics = adapter.adapt(tokens[:3])
    assert embeddings.shape == (3, 32) and isinstance(embeddings, jax.Array)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(embeddings @ golden["image_embeds"].T, scores, atol=1e-6)
    assert set(diagnostics) == {"loss", "confident", "skipped", "restored"}


def test_a_single_query_is_a_batch(adapter, tokens):
    adapter.reset()
    result = adapter.search(tokens[:1], k=3)
    assert result.indices.shape == (1, 3)
    assert np.isfinite(result.scores).all() and np.isfinite(result.diagnostics["loss"])
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(adapter.state.parameters))


def test_a_state_outlives_the_batches_after_it(adapter, tokens):
    adapter.reset()
    kept = adapter.state
    copy = jax.device_get(kept)
    adapter.adapt(tokens[:4])
    for held, was in zip(jax.tree.leaves(kept), jax.tree.leaves(copy), strict=True):
        np.testing.assert_array_equal(held, was)
    assert adapter.gallery.shape == (96, 32)


def test_the_clip_is_left_as_it_is(adapter, tiny, tokens):
    before = jax.device_get(nnx.state(tiny.model))
    adapter.reset()
    adapter.adapt(tokens[:4])
    after = nnx.state(tiny.model)
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_method_gives_the_clip_s_own_embeddings(plain, tiny, pixels):
    found, diagnostics = plain.adapt(pixels[:3])
    np.testing.assert_allclose(found, tiny.encode_pixels(pixels[:3]), atol=1e-6)
    assert diagnostics == {"loss": 0, "confident": 1, "skipped": 0, "restored": 0}


@pytest.mark.parametrize("query", ["image", "text"])
def test_raw_and_prepared_queries_agree(query, compilations):
    clip = load_clip(precision="float32")
    rng = np.random.default_rng(0)
    if query == "image":
        drawn = rng.integers(0, 256, (3, 50, 40, 3), dtype=np.uint8)
        raw, gallery = [Image.fromarray(x) for x in drawn], clip.encode_texts(["a red circle"])
        prepared, plain = clip.pixels_of(raw), clip.encode_images(raw)
    else:
        raw = ["a red circle", "a square above a large green ring", "two blue rings"]
        gallery = clip.encode_images([Image.new("RGB", (40, 40), "red")])
        prepared, plain = clip.tokens_of(raw), clip.encode_texts(raw)
    adapter = Adapter(clip, gallery, query=query, method="none", batch_size=4)
    wanted = adapter.adapt(prepared)[0]
    np.testing.assert_allclose(wanted, plain, atol=1e-5)
    again = raw, iter(raw), tuple(raw), jax.numpy.asarray(prepared)
    with compilations() as names:
        for queries in again:
            np.testing.assert_array_equal(adapter.adapt(queries)[0], wanted)
    assert not names
    if query == "text":  # a longer padding is another program, once
        long = ["a red circle " * 9] * 3
        assert clip.tokens_of(long).shape[1] > prepared.shape[1]
        with compilations() as names:
            adapter.adapt(long)
        assert names
        with compilations() as names:
            adapter.adapt(long), adapter.adapt(raw)
        assert not names


@pytest.mark.parametrize(
    "count, batch_size, devices, rows",
    [
        (1, 64, 1, 1),
        (4, 64, 1, 4),
        (5, 64, 1, 16),
        (17, 64, 1, 64),
        (1, 64, 8, 8),
        (9, 64, 8, 16),
        (64, 64, 64, 64),
        (3, 5, 1, 5),
        (2, 5, 1, 2),
    ],
)
def test_padded_rows_are_few_and_enough(count, batch_size, devices, rows):
    assert padded_rows(count, batch_size, devices) == rows


def test_padded_rows_always_fit():
    for devices in (1, 2, 3, 8):
        for batch_size in range(devices, 100, devices):
            seen = {padded_rows(n, batch_size, devices) for n in range(1, batch_size + 1)}
            assert len(seen) <= 5 and all(rows % devices == 0 for rows in seen)
            for count in range(1, batch_size + 1):
                assert count <= padded_rows(count, batch_size, devices) <= batch_size
