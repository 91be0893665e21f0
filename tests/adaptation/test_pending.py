"""Ranks that are fetched later are those that `ranks` gives at once."""

import jax
import numpy as np
import pytest

from reex_jax import Adapter
from reex_jax.errors import UserError
from reex_jax.settings.gallery import GallerySettings
from reex_jax.settings.ranking import Ranking

SIZES = (8, 8, 5, 1)  # several shapes, all but the first two padded


@pytest.fixture(scope="module")
def tokens(golden):
    return golden["tokens"].astype(np.int32)


@pytest.fixture(scope="module")
def adapter(tiny, golden):
    """One compiled adapter that learns from texts; tests reset it first."""
    settings = {"batch_size": 8, "steps": 1, "learning_rate": 1e-2}
    return Adapter(tiny, golden["image_embeds"], query="text", method="tent", **settings)


def batches(tokens):
    """Queries and answers; every second query has one answer of two."""
    ends = np.cumsum(SIZES)
    for end, size in zip(ends, SIZES, strict=True):
        places = np.arange(end - size, end)
        second = np.where(places % 2, -1, places * 7 % 96)
        yield tokens[places], np.stack([places, second], axis=1).astype(np.int32)


def check_same(found, wanted):
    """Ranks and diagnostics of all batches, bit for bit."""
    for (ranks, how), (other_ranks, other_how) in zip(found, wanted, strict=True):
        assert how == other_how and list(how) == list(other_how)
        assert ranks.keys() == other_ranks.keys()
        for name, own in ranks.items():
            np.testing.assert_array_equal(own, other_ranks[name])


def in_flight(adapter, tokens):
    """All batches begun before one is fetched, the last first; with frozen ones in between."""
    pending = []
    for queries, answers in batches(tokens):
        pending.append(adapter.begin_ranks(queries, answers))
        pending.append(adapter.begin_ranks(queries, answers, learn=False))
    return [one.fetch() for one in pending[::-1]][::-1]


def one_by_one(adapter, tokens):
    found = []
    for queries, answers in batches(tokens):
        found.append(adapter.ranks(queries, answers))
        found.append(adapter.ranks(queries, answers, learn=False))
    return found


def test_many_batches_in_flight_give_the_same(adapter, tokens):
    adapter.reset()
    wanted = one_by_one(adapter, tokens)
    state = jax.device_get(adapter.state)
    adapter.reset()
    check_same(in_flight(adapter, tokens), wanted)
    for a, b in zip(*map(jax.tree.leaves, (state, jax.device_get(adapter.state))), strict=True):
        np.testing.assert_array_equal(a, b)
    for size, (ranks, how) in zip(np.repeat(SIZES, 2), wanted, strict=True):
        assert set(ranks) == {"plain", "calibrated"}
        for rows in ranks.values():
            assert rows.shape == (size, 2) and rows.dtype == np.int32
            assert (rows[:, 0] >= 0).all() and rows.max() < 96
        assert all(isinstance(value, int | float) for value in how.values())
    assert list(wanted[0][1]) == ["loss", "confident", "skipped", "restored"]
    assert wanted[1][1] == {"changed": 0.0}


def test_a_batch_may_be_fetched_again(adapter, tokens):
    adapter.reset()
    (queries, answers), *_ = batches(tokens)
    pending = adapter.begin_ranks(queries, answers)
    adapter.adapt(queries)
    check_same([pending.fetch()], [pending.fetch()])


@pytest.mark.parametrize("layout", ["copied", "split"])
@pytest.mark.parametrize("kind", ["inverted_softmax", "off"])
def test_eight_devices_have_many_batches_in_flight(kind, layout, tiny, tokens, golden):
    settings = {
        "batch_size": 8,
        "devices": 8,
        "ranking": Ranking(calibration=kind),
        "gallery_settings": GallerySettings(layout=layout),
    }
    adapter = Adapter(tiny, golden["image_embeds"], query="text", method="none", **settings)
    wanted = one_by_one(adapter, tokens)
    assert ("calibrated" in wanted[0][0]) == (kind != "off")
    adapter.reset()
    check_same(in_flight(adapter, tokens), wanted)


@pytest.mark.parametrize("layout", ["copied", "split"])
def test_other_queries_are_ranked_without_correction(layout, tiny, golden):
    """Whether they are others is known on the device alone when their ranks are begun."""
    rng, side = np.random.default_rng(0), tiny.config.vision.image_size
    noise = rng.normal(size=(4, 32, side, side, 3)).astype(np.float32)
    centres = np.float32([-1, -1, -1, 1]).reshape(4, 1, 1, 1, 1)
    dark, more_dark, still_dark, bright = 3 * noise + centres
    settings = {"batch_size": 32, "gallery_settings": GallerySettings(layout=layout)}
    adapter = Adapter(tiny, golden["text_embeds"], query="image", method="none", **settings)
    everyone = np.tile(np.arange(adapter.gallery.shape[0], dtype=np.int32), (32, 1))
    pending = [adapter.begin_ranks(pixels, everyone) for pixels in (dark, more_dark)]
    pending += [adapter.begin_ranks(p, everyone, learn=False) for p in (bright, still_dark)]
    (other, how), (known, known_how) = [one.fetch() for one in pending[2:]]
    assert (how, known_how) == ({"changed": 1}, {"changed": 0})
    np.testing.assert_array_equal(other["calibrated"], other["plain"])
    assert (known["calibrated"] != known["plain"]).any()
    for pixels, ranks in ((bright, other), (still_dark, known)):
        found = adapter.search(pixels, k=everyone.shape[1], learn=False).indices
        np.testing.assert_array_equal(np.argsort(ranks["calibrated"], axis=1), found)


def test_faults_are_found_before_anything_is_learned(adapter, tokens):
    adapter.reset()
    for queries, answers in ((tokens[:2], [[96], [0]]), (tokens[:9], [[0]] * 9)):
        with pytest.raises(UserError, match=r"has the answer 96|a batch of 9 queries; give 1 to"):
            adapter.begin_ranks(queries, np.array(answers, np.int32))
    assert adapter.state.batches == 0
