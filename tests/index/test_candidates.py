"""Search on candidates: with all of them it is `Adapter`'s own, with few it is close to it."""

from pathlib import Path

import numpy as np
import pytest

from reex_jax.adaptation.adapter import Adapter
from reex_jax.errors import UserError
from reex_jax.index.backends.exact import ExactSearch
from reex_jax.index.candidates import CandidateAdapter, HostMass
from reex_jax.models.clip.api import load_clip
from reex_jax.settings.ranking import Ranking

TINY = Path(__file__).parents[1] / "data" / "golden" / "clip_tiny"
BATCH = 8


@pytest.fixture(scope="module")
def tiny():
    return load_clip(TINY, precision="float32")


@pytest.fixture(scope="module")
def stream(tiny):
    """Batches of pixels, all different."""
    size = tiny.config.vision.image_size
    return np.random.default_rng(0).normal(size=(6, BATCH, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize("method", ["none", pytest.param("reex", marks=pytest.mark.slow)])
def test_with_all_items_as_candidates_it_is_the_adapter(tiny, stream, unit_rows, method):
    rows = unit_rows(0, 40, tiny.dim)
    exact = Adapter(tiny, rows, query="image", method=method, batch_size=BATCH)
    backend = ExactSearch(rows, 1)
    near = CandidateAdapter(
        tiny, rows, backend, query="image", method=method, batch_size=BATCH, candidates=40
    )
    for batch in stream[:4]:
        right, found = exact.search(batch, 5), near.search(batch, 5)
        np.testing.assert_array_equal(found.indices, right.indices)
        np.testing.assert_allclose(found.scores, right.scores, atol=1e-5)


def test_few_candidates_give_nearly_the_same_calibrated_ranking(tiny, stream, unit_rows):
    # Around what the model gives for these queries, as a real gallery lies around its own.
    centres = tiny.encode_pixels(stream.reshape(-1, *stream.shape[2:]))
    noise = unit_rows(0, 3000, tiny.dim)
    rows = centres[np.arange(3000) % len(centres)] + 0.7 * noise
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    options = {"query": "image", "method": "none", "batch_size": BATCH}
    exact = Adapter(tiny, rows, **options)
    near = CandidateAdapter(tiny, rows, ExactSearch(rows, 1), candidates=200, **options)
    assert len(near._working) < 3000
    same, plain = [], []
    cosine = Adapter(tiny, rows, ranking=Ranking(calibration="off"), **options)
    for batch in stream:
        right = exact.search(batch, 10).indices
        found, raw = near.search(batch, 10).indices, cosine.search(batch, 10).indices
        same += [len(set(a) & set(b)) / 10 for a, b in zip(found, right, strict=True)]
        plain += [len(set(a) & set(b)) / 10 for a, b in zip(raw, right, strict=True)]
    assert np.mean(same) > 0.9 and np.mean(same) > np.mean(plain)


def test_learning_goes_on_over_exchanged_working_sets(tiny, stream, unit_rows):
    rows = unit_rows(0, 3000, tiny.dim)
    near = CandidateAdapter(
        tiny, rows, ExactSearch(rows, 1), query="image", batch_size=BATCH, candidates=50
    )
    for batch in stream[:3]:
        found = near.search(batch, 10)
        own = tiny.encode_pixels(batch)
        assert found.indices.shape == (BATCH, 10) and np.isfinite(found.diagnostics["loss"])
        # Each position's score is the cosine of a unit vector with that very row.
        assert np.all(np.abs(found.scores) <= 1 + 1e-5)
        plain = np.argsort(-(own @ rows.T), axis=1)[:, :50]
        assert (
            np.mean([len(set(a) & set(b)) for a, b in zip(found.indices, plain, strict=True)]) > 5
        )
    first = near.search(stream[0], 10, learn=False)
    again = near.search(stream[0], 10, learn=False)
    np.testing.assert_array_equal(first.indices, again.indices)
    near.reset()


def test_mass_on_the_host_is_that_of_a_loop():
    rng, t = np.random.default_rng(0), 0.05
    scores = rng.uniform(-0.2, 0.6, (5, 4, 30))  # batches, queries, items
    host, mass = HostMass(30, t), np.zeros(30)
    for batch in scores:
        floors = np.sort(batch, axis=1)[:, -6]
        working = np.unique(np.argsort(-batch, axis=1)[:, :6])
        before = host.log_mass(working).astype(np.float64)
        own = np.exp(batch[:, working] / t).sum(axis=0)
        known = np.where(before > -1e29, np.exp(before), 0) + own
        host.update(working, np.log(known).astype(np.float32), floors, 4)
        outside = np.setdiff1d(np.arange(30), working)
        mass[working] += own
        mass[outside] += 4 * np.exp(floors / t).mean()
        np.testing.assert_allclose(host.log_mass(np.arange(30)), np.log(mass), rtol=1e-5)
    host.update(np.arange(3), np.full(3, 1.0, np.float32), np.full(4, 0.1), 4)  # another sort
    left = host.log_mass(np.array([0, 20]))
    np.testing.assert_allclose(left, [1.0, np.log(4) + 0.1 / t], rtol=1e-5)


def test_what_cannot_be_is_refused(tiny, unit_rows):
    rows = unit_rows(0, 20, tiny.dim)
    backend = ExactSearch(rows, 1)
    with pytest.raises(UserError, match="candidates is 0"):
        CandidateAdapter(tiny, rows, backend, query="image", candidates=0)
    with pytest.raises(UserError, match="the back end has 20 rows, but the index 19"):
        CandidateAdapter(tiny, rows[:19], backend, query="image")
    with pytest.raises(UserError, match="sinkhorn"):
        CandidateAdapter(
            tiny, rows, backend, query="image", ranking=Ranking(calibration="sinkhorn")
        )
    near = CandidateAdapter(tiny, rows, backend, query="image", candidates=5)
    with pytest.raises(UserError, match=r"k is 6, but must lie in 1\.\.5"):
        near.search(np.zeros((1, 1)), 6)
