"""Calibrated ranking and the guard, as an adapter has them."""

import jax
import numpy as np
import pytest

from reex_jax import Adapter
from reex_jax.errors import UserError
from reex_jax.settings.ranking import Ranking


@pytest.fixture(scope="module")
def tokens(golden):
    return golden["tokens"].astype(np.int32)


@pytest.fixture(scope="module")
def make(tiny, golden):
    def adapter(method="none", **changes):
        settings = {"query": "text", "batch_size": 8, "steps": 1} | changes
        return Adapter(tiny, golden["image_embeds"], method=method, **settings)

    return adapter


@pytest.fixture(scope="module")
def plain(make):
    """Never adapts; tests reset it first."""
    return make()


def naive_rankings(texts, gallery, temperature, ranking, size):
    """All of each query's items, best first, batch by batch, and the last correction."""
    t = ranking.relative_temperature * temperature
    kept, found, hubs = [], [], np.zeros(len(gallery))
    for at in range(0, len(texts), size):
        batch = texts[at : at + size]
        for query in batch:
            if not any(query @ old > ranking.repeated_from for old in kept):
                kept.append(query)
        mass = np.log(np.exp(np.array(kept) @ gallery.T / t).sum(axis=0))
        hubs = t * len(kept) / (len(kept) + ranking.prior) * (mass - mass.mean())
        found += list(np.argsort(-(batch @ gallery.T - hubs), axis=1, kind="stable"))
    return np.array(found), hubs


def test_the_unadapted_model_ranks_as_computed_by_hand(plain, tiny, tokens, golden):
    """Strictly online, whatever the batches' rows."""
    texts, gallery = (golden[f"{kind}_embeds"].astype(np.float64) for kind in ("text", "image"))
    order, hubs = naive_rankings(texts[:21], gallery, tiny.temperature, Ranking(), 8)
    plain.reset()
    assert not np.asarray(plain.correction()).any()
    for at in (0, 8, 16):
        batch = tokens[at : min(at + 8, 21)]
        result = plain.search(batch, k=5)
        wanted = order[at : at + 8, :5]
        np.testing.assert_array_equal(result.indices, wanted)
        cosines = np.take_along_axis(texts[at : at + len(batch)] @ gallery.T, wanted, axis=1)
        np.testing.assert_allclose(result.scores, cosines, atol=1e-5)
    np.testing.assert_allclose(plain.correction(), hubs, atol=1e-5)
    uncorrected = np.argsort(-(texts[:21] @ gallery.T), axis=1)[:, :5]
    assert (uncorrected != order[:, :5]).any()


def test_ranks_are_places_in_both_rankings(plain, tokens, golden):
    plain.reset()
    everyone = np.tile(np.arange(96, dtype=np.int32), (8, 1))
    ranks, _ = plain.ranks(tokens[:8], everyone)
    found = plain.search(tokens[:8], k=96, learn=False).indices
    np.testing.assert_array_equal(np.argsort(ranks["calibrated"], axis=1), found)
    by_cosine = np.argsort(-(golden["text_embeds"][:8] @ golden["image_embeds"].T), axis=1)
    assert (np.argsort(ranks["plain"], axis=1) == by_cosine).mean() > 0.99


def test_off_ranks_by_cosines(make, tokens, golden):
    off = make(ranking=Ranking(calibration="off"))
    off.adapt(tokens[:8])
    assert off.correction() is None
    seen = off.state.calibration
    assert seen.seen == 8 and (seen.log_mass == -1e30).all(), "hubs that nothing asks for cost time"
    scores = off.similarities(tokens[8:16])
    order = np.argsort(-scores, axis=1, kind="stable")
    np.testing.assert_array_equal(off.search(tokens[8:16], k=96).indices, order)
    ranks, _ = off.ranks(tokens[8:16], order[:, :2].astype(np.int32))
    assert set(ranks) == {"plain"}
    np.testing.assert_array_equal(ranks["plain"], [[0, 1]] * 8)


def test_repeats_change_no_ranking(plain, tokens):
    plain.reset()
    plain.adapt(tokens[:8])
    before = plain.state.calibration
    for _ in range(3):
        plain.adapt(tokens[:4])
    for a, b in zip(*map(jax.tree.leaves, (before, plain.state.calibration)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_was_seen_is_saved_and_forgotten(plain, make, tokens, tmp_path):
    plain.reset()
    plain.adapt(tokens[:8])
    wanted = np.asarray(plain.correction())
    plain.save(tmp_path)
    plain.reset()
    assert not np.asarray(plain.correction()).any() and plain.state.calibration.seen == 0
    plain.restore(tmp_path)
    np.testing.assert_array_equal(plain.correction(), wanted)
    with pytest.raises(UserError, match=r"with ranking calibration 'inverted_softmax', but this"):
        make(ranking=Ranking(calibration="sinkhorn")).restore(tmp_path)


@pytest.mark.parametrize("kind", ["inverted_softmax", "sinkhorn"])
def test_eight_devices_rank_as_one(kind, make, tokens):
    one, eight = (make(ranking=Ranking(calibration=kind), devices=n) for n in (1, 8))
    for at in (0, 8, 16):
        batch = tokens[at : min(at + 8, 21)]
        found, wanted = eight.search(batch, k=3), one.search(batch, k=3)
        np.testing.assert_array_equal(found.indices, wanted.indices)
    np.testing.assert_allclose(eight.correction(), one.correction(), atol=1e-5)


def test_a_rate_that_ruins_the_model_is_undone(make, plain, tokens):
    adapter = make("tent", learning_rate=1.0, steps=3)
    source = jax.device_get(adapter.state.parameters)
    plain.reset()
    restored = 0
    for at in range(0, 48, 8):
        result = adapter.search(tokens[at : at + 8], k=10)
        assert result.indices.min() >= 0 and result.indices.max() < 96
        assert all(len(set(row)) == 10 for row in result.indices)
        assert np.isfinite(result.scores).all()
        restored += int(result.diagnostics["restored"])
    assert restored > 0 and adapter.state.restored == restored
    if result.diagnostics["restored"]:  # then the source's parameters are there again
        for a, b in zip(
            jax.tree.leaves(source), jax.tree.leaves(adapter.state.parameters), strict=True
        ):
            np.testing.assert_array_equal(a, b)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(adapter.state.parameters))


@pytest.mark.parametrize("method", ["none", "reex"])
def test_frozen_adapters_rank_other_queries_as_the_source_does(method, tiny, golden):
    """What 64 dark pictures taught is not used for bright ones, and still is for dark ones."""
    rng, side = np.random.default_rng(0), tiny.config.vision.image_size
    noise = rng.normal(size=(4, 32, side, side, 3)).astype(np.float32)
    centres = np.float32([-1, -1, -1, 1]).reshape(4, 1, 1, 1, 1)
    dark, more_dark, still_dark, bright = 3 * noise + centres
    gallery = golden["text_embeds"]

    def adapter(method, shift_above=4.0):
        ranking = Ranking(shift_above=shift_above)
        own = {"learning_rate": 1e-2} if method == "reex" else {}
        settings = {"query": "image", "batch_size": 32, "steps": 1, "ranking": ranking}
        made = Adapter(tiny, gallery, method=method, **settings, **own)
        for batch in (dark, more_dark):
            made.search(batch)
        return made

    guarded, trusting = adapter(method), adapter(method, 0.0)
    result = guarded.search(bright, learn=False)
    cosines = tiny.encode_pixels(bright) @ gallery.T
    wanted = -np.sort(-cosines, axis=1)[:, :10]
    np.testing.assert_allclose(result.scores, wanted, atol=1e-5)
    assert result.diagnostics == {"changed": 1}
    known = guarded.search(still_dark, learn=False)
    assert known.diagnostics == {"changed": 0}
    np.testing.assert_array_equal(known.indices, trusting.search(still_dark, learn=False).indices)
    assert np.abs(trusting.search(bright, learn=False).scores - wanted).max() > 1e-4
