"""Search on candidates: with all of them it is `Adapter`'s own, with few it is close to it."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.adaptation.adapter import Adapter
from reex_jax.errors import UserError
from reex_jax.index.backends.exact import ExactSearch
from reex_jax.index.candidates import CandidateAdapter, shown_by_recent
from reex_jax.models.clip.api import load_clip
from reex_jax.retrieval.calibration import nothing_seen, observe
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
    near = CandidateAdapter(tiny, rows, ExactSearch(rows, 1), candidates=100, **options)
    assert len(near._working) < 3000
    same, plain = [], []
    cosine = Adapter(tiny, rows, ranking=Ranking(calibration="off"), **options)
    for batch in stream:
        right = exact.search(batch, 10).indices
        found, raw = near.search(batch, 10).indices, cosine.search(batch, 10).indices
        same += [len(set(a) & set(b)) / 10 for a, b in zip(found, right, strict=True)]
        plain += [len(set(a) & set(b)) / 10 for a, b in zip(raw, right, strict=True)]
    assert np.mean(same) > 0.9 and 1 - np.mean(same) < (1 - np.mean(plain)) / 2


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


def test_what_recent_queries_show_is_what_calibration_says(unit_rows):
    settings, t = Ranking(recent=16), 0.03
    rows, queries = unit_rows(0, 30), unit_rows(1, 12)
    state = nothing_seen(30, 8, settings)
    np.testing.assert_array_equal(shown_by_recent(state, rows, t), np.float32(-1e30))
    counted = jnp.ones(12, bool)
    own = jnp.float32(t / settings.relative_temperature)
    asked = jnp.asarray(queries)
    state = observe(state, asked, asked, counted, jnp.asarray(rows), own, settings)
    np.testing.assert_allclose(shown_by_recent(state, rows, t), state.log_mass, rtol=1e-4)
    right = np.log(np.exp(rows.astype(np.float64) @ queries.T / t).sum(axis=1))
    np.testing.assert_allclose(state.log_mass, right, rtol=1e-4)


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
