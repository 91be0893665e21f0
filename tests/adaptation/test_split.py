"""Galleries that are split over devices or stored in half precision, under every method."""

import jax
import numpy as np
import pytest

from reex_jax import Adapter
from reex_jax.settings.gallery import GallerySettings
from tests.adaptation.test_devices import SETTINGS

ALWAYS = ("tent", "reex", "reex, gallery")


@pytest.fixture(
    params=[
        pytest.param(name, marks=[] if name in ALWAYS else [pytest.mark.slow]) for name in SETTINGS
    ]
)
def make(request, toy_stream):
    """(devices, split) -> a stream of the method under test, 16 rows a batch."""
    method, own = request.param.split(",")[0], SETTINGS[request.param]
    return lambda devices, split: toy_stream(
        method, rows=16, devices=devices, split=split, steps=2, **own
    )


def test_methods_learn_the_same_from_a_gallery_in_parts(make, toy_queries):
    """30 items on eight devices, with two free places: scores, losses and state."""
    whole, split = make(1, False), make(8, True)
    gallery = np.asarray(whole.constants.gallery)
    for seed, count in ((1, 16), (2, 11)):
        queries = toy_queries(seed, count)
        wanted, diagnostics = whole(queries)
        found, others = split(queries)
        np.testing.assert_allclose(found @ gallery.T, wanted @ gallery.T, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(others, diagnostics, rtol=1e-4, atol=1e-6)
    mass, parts = (stream.state.calibration.log_mass for stream in (whole, split))
    np.testing.assert_allclose(parts[:30], mass, rtol=1e-5, atol=1e-5)
    assert (parts[30:] < -1e29).all(), "what is free has no mass"
    one, other = (stream.state for stream in (whole, split))
    for a, b in zip(*map(jax.tree.leaves, (one.parameters, other.parameters)), strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-5)


@pytest.fixture(scope="module")
def searched(tiny, golden):
    """(**settings) -> rankings, ranks and corrections after two batches, and the adapter."""
    tokens = golden["tokens"].astype(np.int32)

    def search(devices, **how):
        adapter = Adapter(
            tiny,
            golden["image_embeds"],
            query="text",
            method="none",
            batch_size=16,
            devices=devices,
            gallery_settings=GallerySettings(**how),
        )
        adapter.adapt(tokens[:16])
        result = adapter.search(tokens[16:29], k=7)
        answers = np.tile(np.array([[3, 90]], np.int32), (13, 1))
        ranks, _ = adapter.ranks(tokens[16:29], answers, learn=False)
        return result, ranks, np.asarray(adapter.correction()), adapter

    return search


def test_an_adapter_searches_a_split_gallery_and_grows_it(searched, golden, unit_rows, tmp_path):
    wanted, ranks, hubs, one = searched(1)
    found, others, parts, eight = searched(8, layout="split", spare=5)
    np.testing.assert_array_equal(found.indices, wanted.indices)
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(parts, hubs, atol=1e-5)
    for ranking, own in ranks.items():
        np.testing.assert_array_equal(others[ranking], own)
    for adapter in (one, eight):
        adapter.remove(["5", "17"])
        adapter.add(["a", "b", "c"], unit_rows(3, 3, 32))
    tokens = golden["tokens"].astype(np.int32)
    found, wanted = (each.search(tokens[30:38], k=9) for each in (eight, one))
    np.testing.assert_array_equal(found.indices, wanted.indices)
    np.testing.assert_allclose(eight.gallery, one.gallery)
    eight.save(tmp_path)
    one.restore(tmp_path)  # other places, the same items
    np.testing.assert_allclose(one.correction(), eight.correction(), atol=1e-5)


def test_half_precision_changes_scores_in_the_third_digit(searched, golden):
    tokens = golden["tokens"].astype(np.int32)
    wanted, found = (
        searched(1, storage=storage)[3].similarities(tokens[:4], learn=False)
        for storage in ("float32", "bfloat16")
    )
    assert 0 < np.abs(found - wanted).max() < 4e-3
