"""What counts as a ruined model."""

import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.adaptation.guard import COLLAPSED_BELOW, judge, spread

FINE = jnp.bool_(False)


def judged(queries, sources, real=None, failed=FINE):
    mask = jnp.arange(len(queries)) < (len(queries) if real is None else real)
    verdict = judge(jnp.asarray(queries), jnp.asarray(sources), mask, failed)
    return bool(verdict.ruined), np.asarray(verdict.queries)


def drawn_together(sources, share):
    """Rows around the same mean with `share` of the squared spread."""
    mean = sources.mean(axis=0)
    return (mean + np.sqrt(share) * (sources - mean)).astype(np.float32)


def test_spread_is_that_of_the_real_rows(unit_rows):
    rows = unit_rows(1, 6, 5)
    wanted = ((rows[:4] - rows[:4].mean(axis=0)) ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(spread(jnp.asarray(rows), jnp.arange(6) < 4), wanted, rtol=1e-5)
    assert spread(jnp.ones((3, 2)), jnp.ones(3, bool)) == 0


def test_a_model_that_moves_is_not_ruined(unit_rows):
    queries, sources = unit_rows(1, 8, 5), unit_rows(2, 8, 5)
    ruined, ranked = judged(queries, sources)
    assert not ruined
    np.testing.assert_array_equal(ranked, queries)


@pytest.mark.parametrize("factor, ruined", [(1.05, False), (0.95, True), (0.0, True)])
def test_embeddings_that_draw_together_are_a_collapse(factor, ruined, unit_rows):
    sources = unit_rows(1, 8, 5)
    queries = drawn_together(sources, factor * COLLAPSED_BELOW)
    found, ranked = judged(queries, sources)
    assert found == ruined
    np.testing.assert_array_equal(ranked, sources if ruined else queries)


@pytest.mark.parametrize("real, ruined", [(1, False), (3, False), (4, True)])
def test_few_queries_say_nothing_of_a_collapse(real, ruined, unit_rows):
    sources = unit_rows(1, 8, 5)
    assert judged(np.ones((8, 5), np.float32), sources, real)[0] == ruined


def test_queries_that_were_alike_before_are_no_collapse(unit_rows):
    alike = np.tile(unit_rows(1, 1, 5), (8, 1))
    assert not judged(alike, alike)[0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_embedding_that_is_not_finite_is_enough(value, unit_rows):
    sources, queries = unit_rows(1, 2, 5), unit_rows(2, 2, 5)
    queries[1, 3] = value
    ruined, ranked = judged(queries, sources)
    assert ruined
    np.testing.assert_array_equal(ranked, sources)
    assert not judged(queries, sources, real=1)[0], "padding says nothing"


def test_a_batch_without_any_update_is_enough(unit_rows):
    queries = unit_rows(1, 1, 5)
    assert judged(queries, queries, failed=jnp.bool_(True))[0]
