"""Calibration against loops in float64."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reex_jax.retrieval.calibration import (
    arrive,
    correction,
    hubness,
    new_queries,
    nothing_seen,
    observe,
    regrown,
)
from reex_jax.retrieval.ranks import ranks_of
from reex_jax.retrieval.topk import top_k
from reex_jax.settings.ranking import Ranking

SIZE, WIDTH, TEMPERATURE = 23, 6, jnp.float32(0.05)
KINDS = ("inverted_softmax", "sinkhorn")


def rows(seed, n, d=WIDTH):
    drawn = np.random.default_rng(seed).normal(size=(n, d))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


GALLERY = rows(0, SIZE)
STREAM = [rows(seed, n) for seed, n in ((1, 4), (2, 1), (3, 7))]


def seen(batches, ranking, gallery=GALLERY, chunk=8):
    """The state after some batches of new queries."""
    state = nothing_seen(len(gallery), WIDTH, ranking)
    for batch in batches:
        counted = jnp.ones(len(batch), bool)
        batch, items = jnp.asarray(batch), jnp.asarray(gallery)
        state = observe(state, batch, batch, counted, items, TEMPERATURE, ranking, chunk)
    return state


def naive_corrections(batches, ranking, gallery=GALLERY):
    """The correction after each batch."""
    t = ranking.relative_temperature * 0.05
    mass, number, hubs = np.zeros(len(gallery)), 0, np.zeros(len(gallery))
    for batch in batches:
        for query in batch.astype(np.float64):
            own = np.array(
                [np.exp(query @ item / t - h) for item, h in zip(gallery, hubs, strict=True)]
            )
            total = own.sum() if ranking.calibration == "sinkhorn" else 1.0
            mass = mass + np.array([np.exp(query @ item / t) for item in gallery]) / total
            number += 1
        log_mass = np.log(mass)
        hubs = number / (number + ranking.prior) * (log_mass - log_mass.mean())
        yield t * hubs


@pytest.mark.parametrize("prior", [0.0, 16.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_correction_is_that_of_a_loop(kind, prior):
    ranking = Ranking(calibration=kind, relative_temperature=3.0, prior=prior)
    for count, wanted in enumerate(naive_corrections(STREAM, ranking), start=1):
        state = seen(STREAM[:count], ranking)
        np.testing.assert_allclose(correction(state, TEMPERATURE, ranking), wanted, atol=2e-6)
    assert np.ptp(wanted) > 0.01 and state.seen == 12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [1, 4, 23, 100])
def test_chunks_change_nothing(kind, chunk):
    ranking = Ranking(calibration=kind)
    whole, parts = seen(STREAM, ranking, chunk=23), seen(STREAM, ranking, chunk=chunk)
    np.testing.assert_allclose(parts.log_mass, whole.log_mass, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_and_what_is_not_finite_count_nothing(kind):
    ranking = Ranking(calibration=kind, recent=8)
    wanted, batch = seen(STREAM[:2], ranking), STREAM[2]
    state = seen(STREAM[:1], ranking)
    padded = np.concatenate([STREAM[1], rows(8, 2), np.full((1, WIDTH), np.nan, np.float32)])
    mask = jnp.arange(4) < 1
    padded = jnp.asarray(padded)
    state = observe(state, padded, padded, mask, jnp.asarray(GALLERY), TEMPERATURE, ranking, 8)
    np.testing.assert_allclose(state.log_mass, wanted.log_mass, rtol=1e-6)
    np.testing.assert_array_equal(state.recent, wanted.recent)
    assert state.seen == wanted.seen == 5
    broken = jnp.asarray(batch).at[3].set(jnp.nan)
    counted = jnp.ones(len(batch), bool)
    found = observe(state, broken, batch, counted, jnp.asarray(GALLERY), TEMPERATURE, ranking, 8)
    without = observe(
        state, batch, batch, counted.at[3].set(False), jnp.asarray(GALLERY), TEMPERATURE, ranking, 8
    )
    np.testing.assert_allclose(found.log_mass, without.log_mass, rtol=1e-6)
    assert found.seen == without.seen == 11


def test_nothing_seen_corrects_nothing():
    ranking = Ranking(prior=0.0)
    state = nothing_seen(SIZE, WIDTH, ranking)
    np.testing.assert_array_equal(hubness(state, ranking), np.zeros(SIZE))
    none = jnp.zeros(3, bool)
    batch = jnp.asarray(rows(1, 3))
    state = observe(state, batch, batch, none, jnp.asarray(GALLERY), TEMPERATURE, ranking)
    np.testing.assert_array_equal(hubness(state, ranking), np.zeros(SIZE))
    assert np.isfinite(state.log_mass).all()


def test_repeats_are_those_of_a_loop():
    ranking = Ranking(recent=5, repeated_from=0.9)
    state = seen([rows(1, 4), rows(2, 3)], ranking)
    kept = np.concatenate([rows(1, 4), rows(2, 3)])[-5:]
    np.testing.assert_array_equal(state.recent, kept)
    new = rows(4, 8)
    new[1], new[2], new[4], new[6] = kept[2], new[0], rows(1, 4)[0], new[7]
    mask = np.arange(8) < 7
    found = new_queries(state, jnp.asarray(new), jnp.asarray(mask), ranking)
    wanted = [
        bool(mask[i])
        and not any(new[i] @ old > 0.9 for old in kept)
        and not any(mask[j] and new[i] @ new[j] > 0.9 for j in range(i))
        for i in range(8)
    ]
    np.testing.assert_array_equal(found, wanted)
    # Row 4 has been forgotten; row 6 repeats only padding, which stands behind it.
    np.testing.assert_array_equal(wanted, [True, False, False, True, True, True, True, False])


def test_without_a_gallery_queries_are_remembered_and_no_hubs():
    ranking, batch = Ranking(), jnp.asarray(STREAM[0])
    before, counted = seen(STREAM[1:2], ranking), jnp.array([True, False, True, True])
    given = (before, batch, batch, counted)
    found = observe(*given, None, TEMPERATURE, ranking)
    wanted = observe(*given, jnp.asarray(GALLERY), TEMPERATURE, ranking)
    np.testing.assert_array_equal(found.log_mass, before.log_mass)
    np.testing.assert_array_equal(found.recent, wanted.recent)
    assert found.seen == wanted.seen == 4


def test_another_sort_of_queries_begins_anew():
    """Two sorts, one behind the other: from the second on only it has been seen."""
    ranking, centre = Ranking(prior=0.0), 3 * np.eye(WIDTH, dtype=np.float32)[:2]

    def sort(seed, towards):
        drawn = rows(seed, 64) + centre[towards]
        return jnp.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))

    state, changes = nothing_seen(SIZE, WIDTH, ranking), []
    for batch in (sort(1, 0), sort(2, 0), sort(3, 1), sort(4, 1)):
        arrival = arrive(state, batch, jnp.ones(64, bool), ranking)
        changes.append(bool(arrival.changed))
        state = observe(
            arrival.calibration,
            batch,
            batch,
            arrival.counted,
            jnp.asarray(GALLERY),
            TEMPERATURE,
            ranking,
        )
    assert changes == [False, False, True, False] and state.seen == 128
    alone = seen([np.asarray(sort(3, 1)), np.asarray(sort(4, 1))], ranking)
    np.testing.assert_allclose(state.log_mass, alone.log_mass, rtol=1e-6)
    never = arrive(state, sort(5, 0), jnp.ones(64, bool), Ranking(shift_above=0.0))
    assert not never.changed and never.calibration.seen == 128


def grown(state, more, ranking, free=0):
    """The state of a gallery with new items behind the old ones, then free places."""
    origin = np.full(SIZE + len(more) + free, -1, np.int32)
    origin[:SIZE] = np.arange(SIZE)
    return regrown(state, origin, more, TEMPERATURE, ranking)


def test_new_items_get_what_recent_queries_say_of_them():
    ranking = Ranking(prior=3.0)
    more = rows(5, 4)
    found = grown(seen(STREAM, ranking), more, ranking)
    wanted = seen(STREAM, ranking, np.concatenate([GALLERY, more]))
    np.testing.assert_allclose(found.log_mass, wanted.log_mass, rtol=1e-5, atol=1e-5)
    hubs = correction(wanted, TEMPERATURE, ranking)
    np.testing.assert_allclose(correction(found, TEMPERATURE, ranking), hubs, atol=2e-6)
    # Free places are no items: they change no centre, and nothing is taken from them.
    spare = correction(grown(seen(STREAM, ranking), more, ranking, free=3), TEMPERATURE, ranking)
    np.testing.assert_allclose(spare, [*hubs, 0, 0, 0], atol=2e-6)
    # Of a longer stream than is remembered, the mass is scaled to its length.
    short = Ranking(prior=3.0, recent=7)
    found = grown(seen(STREAM, short), more, short)
    last = seen(STREAM[2:], short, np.concatenate([GALLERY, more]))
    np.testing.assert_allclose(
        found.log_mass[SIZE:], last.log_mass[SIZE:] + np.log(12 / 7), rtol=1e-5, atol=1e-5
    )
    unseen = grown(nothing_seen(SIZE, WIDTH, ranking), more, ranking)
    np.testing.assert_array_equal(hubness(unseen, ranking), np.zeros(SIZE + 4))
    assert (unseen.log_mass == unseen.log_mass[0]).all()


def test_items_that_go_take_their_mass_along():
    ranking, kept = Ranking(), np.flatnonzero(np.arange(SIZE) % 3 != 1).astype(np.int32)
    found = regrown(seen(STREAM, ranking), kept, rows(1, 0), TEMPERATURE, ranking)
    wanted = seen(STREAM, ranking, GALLERY[kept])
    np.testing.assert_allclose(found.log_mass, wanted.log_mass, rtol=1e-5, atol=1e-5)


@st.composite
def problems(draw):
    """Whole numbers: their products and differences are exact, and many of them tie."""
    size = draw(st.sampled_from([1, 8, 23]))
    batch, k = draw(st.sampled_from([(1, 1), (3, size)]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    spread = draw(st.sampled_from([0, 1, 9]))
    queries = rng.integers(-spread, spread + 1, (batch, 2)).astype(np.float32)
    gallery = rng.integers(-spread, spread + 1, (size, 2)).astype(np.float32)
    taken = rng.integers(-spread, spread + 1, size).astype(np.float32)
    return queries, gallery, taken, k, draw(st.sampled_from([4, 64]))


@settings(max_examples=60, deadline=None)
@given(problems())
def test_corrected_rankings_are_a_stable_sort(problem):
    queries, gallery, taken, k, chunk = problem
    scores = queries @ gallery.T - taken
    order = np.argsort(-scores, axis=1, kind="stable")
    found, positions = top_k(queries, gallery, k, chunk, jnp.asarray(taken))
    np.testing.assert_array_equal(positions, order[:, :k])
    np.testing.assert_array_equal(found, np.take_along_axis(scores, order[:, :k], axis=1))
    everyone = np.tile(np.arange(len(gallery), dtype=np.int32), (len(queries), 1))
    ranks = ranks_of(queries, gallery, everyone, chunk, jnp.asarray(taken))
    np.testing.assert_array_equal(np.argsort(ranks, axis=1), order)


@pytest.mark.parametrize("chunk", [4, 64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("corrected", [False, True])
def test_positions_are_valid_whatever_is_asked(value, chunk, corrected):
    queries = rows(1, 3)
    queries[1] = value
    queries[2, 0] = value
    taken = jnp.asarray(rows(2, 1, SIZE)[0]) if corrected else None
    _, positions = top_k(queries, GALLERY, SIZE, chunk, taken)
    np.testing.assert_array_equal(np.sort(positions, axis=1), [range(SIZE)] * 3)
