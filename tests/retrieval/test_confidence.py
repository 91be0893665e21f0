"""Confidence against a softmax written out."""

import numpy as np
import pytest

from reex_jax.retrieval import confidence
from reex_jax.retrieval.confidence import sure_top_k


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("chunk", [4, 7, 8192])
def test_first_items_and_their_share(monkeypatch, corrected, chunk):
    monkeypatch.setattr(confidence, "DEFAULT_CHUNK", chunk)
    confidence.sure_top_k.clear_cache()
    rng = np.random.default_rng(0)
    queries, gallery = (rng.normal(size=(n, 5)).astype(np.float32) for n in (3, 21))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    correction = rng.normal(size=21).astype(np.float32) if corrected else None
    positions, sure = sure_top_k(queries, gallery, 4, np.float32(0.1), correction)
    scores = queries @ gallery.T - (0 if correction is None else correction)
    np.testing.assert_array_equal(positions, np.argsort(-scores, axis=1)[:, :4])
    mass = np.exp((scores - scores.max(axis=1, keepdims=True)) / 0.1)
    np.testing.assert_allclose(sure, (mass / mass.sum(axis=1, keepdims=True)).max(axis=1), 1e-5)


def test_queries_that_are_no_numbers_are_sure_of_nothing():
    queries = np.full((1, 3), np.nan, np.float32)
    _, sure = sure_top_k(queries, np.eye(3, dtype=np.float32), 2, np.float32(0.1))
    assert not np.isfinite(sure).any() or (np.asarray(sure) <= 1).all()
