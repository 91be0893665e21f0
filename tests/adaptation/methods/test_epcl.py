"""EPCL against a float64 loop over queries and candidates."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.adaptation.exclusion import restrict
from reex_jax.adaptation.methods.epcl import epcl
from reex_jax.adaptation.objective import Start
from reex_jax.retrieval.calibration import Calibration
from reex_jax.retrieval.shift import no_sort
from reex_jax.settings.methods import Reex
from reex_jax.settings.ranking import Ranking

ROWS, REAL, SIZE, WIDTH = 9, 7, 12, 6
TEMPERATURE = 0.05
RANKING = Ranking(relative_temperature=3.0, prior=8.0)
REPEATED = 2  # a row that repeats a recent query
DEFAULTS = {
    "k": 3,
    "p": 1,
    "pool": "batch",
    "strategy": "outside_top_k",
    "m": 2,
    "split": "both",
    "commit": "proxy",
    "relative_temperature": 2.0,
    "quantile": 0.5,
    "memory": 5,
    "calibrated": True,
    "full_batch": 16,
    "source_decay": 0.1,
    "ambiguous_weight": 1.0,
    "uniformity_weight": 1.0,
    "gap_weight": 1.0,
    "share": 0.3,
    "batches": 10,
}


def nearest(row, k):
    return sorted(range(len(row)), key=lambda j: (-row[j], j))[:k]


def naive_entropy(row):
    p = np.exp((row - row.max()) / TEMPERATURE)
    p /= p.sum()
    return -sum(x * np.log(x) for x in p if x > 0)


def naive_hubs(seen, gallery):
    """What calibration takes from each item after these queries [n, d]."""
    t = RANKING.relative_temperature * TEMPERATURE
    mass = np.array([np.log(sum(np.exp(z @ g / t) for z in seen)) for g in gallery])
    return t * len(seen) / (len(seen) + RANKING.prior) * (mass - mass.mean())


def naive_proxy(row, gallery, p):
    """The weights of the p nearest are their scores, 1 for the nearest if it has none."""
    near = nearest(row, p)
    weights = [max(row[j], 0.0) for j in near]
    weights[0] = weights[0] or 1.0
    mean = sum(w * gallery[j] for w, j in zip(weights, near, strict=True))
    return mean / np.linalg.norm(mean)


def gap(queries, items):
    return np.linalg.norm(np.mean(queries, axis=0) - np.mean(items, axis=0))


def naive_memory(memory, z, c, settings, batch):
    """The stored pairs (distance, z, c) after this batch's share of the source-like ones."""
    if int(batch.step) > 0 or int(batch.index) >= settings["batches"]:
        return memory
    spread = [np.linalg.norm(x - x.mean(axis=0), axis=1) for x in (z, c)]
    distance = 2 * np.linalg.norm(z - c, axis=1) - spread[0] - spread[1]
    best = np.argsort(distance, kind="stable")[: int(settings["share"] * len(z))]
    joined = memory + [(distance[i], z[i], c[i]) for i in best]
    return sorted(joined, key=lambda pair: pair[0])[:ROWS]


def naive_constants(batch, settings, seen, recent, memory):
    """Everything through which no gradient flows.

    `seen` are the queries counted before the batch, `recent` the (item, entropy) of those before
    it, oldest first. Columns are candidates: one for each row, then the memory, filled from the
    end.
    """
    z, gallery = (np.asarray(x, np.float64) for x in (batch.queries, batch.gallery))
    z = z[np.asarray(batch.mask)]
    rows, k = range(len(z)), settings["k"]
    counted = [i for i in rows if i != REPEATED]
    hubs = np.zeros(len(gallery))
    if settings["calibrated"]:
        hubs = naive_hubs([*seen, *z[counted]], gallery)
    scores = z @ gallery.T - hubs
    entropies = np.array([naive_entropy(row) for row in scores])
    threshold = np.quantile([*entropies, *(h for _, h in recent)], settings["quantile"])
    proxies = np.array([naive_proxy(row, gallery, settings["p"]) for row in scores])
    first = [nearest(row, 1)[0] for row in scores]
    columns = {j: (j, gallery[j]) for j in range(len(gallery))}
    if settings["pool"] == "batch":
        columns = {i: (first[i], proxies[i]) for i in rows}
        size = ROWS + settings["memory"]
        for at, (item, _) in enumerate(recent, start=size - len(recent)):
            columns[at] = (item, gallery[item])
    logits = {j: z @ vector - hubs[item] for j, (item, vector) in columns.items()}
    excluded = []
    for i in rows:
        own = i if settings["pool"] == "batch" else first[i]
        plausible = nearest(scores[i], k)
        excluded.append([j for j in columns if j != own and columns[j][0] not in plausible])
    added = [(first[i], entropies[i]) for i in counted]
    return SimpleNamespace(
        proxies=proxies,
        own_hubs=hubs[first],
        columns=columns,
        hubs=hubs,
        excluded=excluded,
        kept=[choose(excluded, logits, settings, batch, i) for i in rows],
        confident=(entropies <= threshold) & (settings["quantile"] > 0),
        counted=counted,
        recent=[*recent, *added][max(0, len(recent) + len(added) - settings["memory"]) :],
        memory=naive_memory(memory, z, proxies, settings, batch),
    )


def choose(excluded, logits, settings, batch, i):
    strategy, m, row = settings["strategy"], settings["m"], excluded[i]
    if strategy == "outside_top_k":
        return row
    if strategy == "random_m":  # which ones is the key's affair; test_exclusion.py tests that
        columns = SIZE if settings["pool"] == "gallery" else ROWS + settings["memory"]
        mask = np.zeros((len(excluded), columns), bool)
        for number, members in enumerate(excluded):
            mask[number, members] = True
        chosen = restrict(
            jnp.asarray(mask), jnp.zeros(mask.shape, jnp.float32), strategy, m, batch.key
        )
        return list(np.flatnonzero(chosen[i]))
    sign = -1 if strategy == "next_m" else 1
    return sorted(row, key=lambda j: (sign * logits[j][i], j))[:m]


def naive_value(z, fixed, settings):
    """The loss at embeddings z [n, d] float64 of the real rows, the rest held fixed."""
    tau, total = settings["relative_temperature"] * TEMPERATURE, 0.0
    for i, row in enumerate(z):
        mass = {j: np.exp((row @ c - fixed.hubs[g]) / tau) for j, (g, c) in fixed.columns.items()}
        against = sum(mass[j] for j in fixed.kept[i])
        if fixed.confident[i]:
            if settings["split"] in ("both", "confident"):
                own = np.exp((row @ fixed.proxies[i] - fixed.own_hubs[i]) / tau)
                shares = np.array([own, *(mass[j] for j in fixed.kept[i])]) / (own + against)
                entropy = -sum(shares * np.log(shares))
                total += entropy if settings["commit"] == "entropy" else -np.log(shares[0])
        elif settings["split"] in ("both", "ambiguous"):
            inside = sum(e for j, e in mass.items() if j not in fixed.excluded[i])
            total -= settings["ambiguous_weight"] * np.log(inside / (inside + against))
    value = total / len(z)
    spread = np.linalg.norm(z - z.mean(axis=0), axis=1)
    value += settings["uniformity_weight"] * np.mean(np.exp(-0.1 * spread))
    if fixed.memory:
        wanted = gap([pair[1] for pair in fixed.memory], [pair[2] for pair in fixed.memory])
        value += settings["gap_weight"] * (gap(z, fixed.proxies) - wanted) ** 2
    return value


def naive_gradient(z, fixed, settings, width=1e-5):
    gradient = np.zeros_like(z)
    for at in np.ndindex(z.shape):
        ends = []
        for sign in (1, -1):
            moved = z.copy()
            moved[at] += sign * width
            ends.append(naive_value(moved, fixed, settings))
        gradient[at] = (ends[0] - ends[1]) / (2 * width)
    return gradient


def start(gallery, rows=ROWS):
    return Start(rows, jnp.asarray(gallery), ())


def value_and_gradient(objective, batch, state):
    def value(queries):
        loss = objective.loss(dataclasses.replace(batch, queries=queries), state)
        return loss.value, loss

    gradient, loss = jax.grad(value, has_aux=True)(batch.queries)
    return loss, np.asarray(gradient)


CASES = {
    "as it is": {},
    "confident": {"split": "confident"},
    "ambiguous": {"split": "ambiguous", "ambiguous_weight": 0.3},
    "neither": {"split": "none"},
    "no exclusion": {"k": 0},
    "all plausible": {"k": SIZE},
    "more than there are": {"k": 99, "p": 99},
    "mean proxies": {"p": 4, "k": 2},
    "next": {"strategy": "next_m", "k": 1},
    "bottom": {"strategy": "bottom_m", "k": 1},
    "random": {"strategy": "random_m", "k": 1},
    "gallery": {"pool": "gallery", "p": 2},
    "gallery, next": {"pool": "gallery", "strategy": "next_m"},
    "gallery, bottom": {"pool": "gallery", "strategy": "bottom_m", "m": 5},
    "gallery, random": {"pool": "gallery", "strategy": "random_m"},
    "gallery, no exclusion": {"pool": "gallery", "k": 0},
    "contrast alone": {"uniformity_weight": 0.0, "gap_weight": 0.0},
    "uniformity alone": {"split": "none", "gap_weight": 0.0, "uniformity_weight": 2.0},
    "gap alone": {"split": "none", "gap_weight": 3.0, "uniformity_weight": 0.0, "share": 0.6},
    "entropy": {"commit": "entropy"},
    "entropy, nothing excluded": {"commit": "entropy", "k": 12},
    "entropy over the gallery": {"commit": "entropy", "pool": "gallery", "k": 5},
    "another threshold": {"quantile": 0.8, "relative_temperature": 1.0},
    "nobody is confident": {"quantile": 0.0},
    "all are": {"quantile": 1.0},
    "no memory": {"memory": 0},
    "a long memory": {"memory": 40},
    "plain scores": {"calibrated": False},
    "memory of one batch": {"batches": 1, "share": 1.0},
}


@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradient_are_those_of_the_loop(name, unit_rows, make_batch):
    """Three steps: two on a first batch, one on the next; row 2 of each repeats a recent query."""
    settings = DEFAULTS | CASES[name]
    gallery, objective = unit_rows(0, SIZE, WIDTH), epcl(Reex(**settings))
    state, seen, memory = objective.init(start(gallery)), list(unit_rows(9, 4, WIDTH)), []
    before = now = []
    for seed, index, step in ((1, 0, 0), (2, 0, 1), (3, 1, 0)):
        before = now if step == 0 else before
        batch = make_batch(
            unit_rows(seed, ROWS, WIDTH),
            gallery,
            real=REAL,
            index=index,
            step=step,
            counted=np.arange(ROWS) != REPEATED,
            calibration=calibration_of(seen, gallery),
            ranking=RANKING,
        )
        loss, gradient = value_and_gradient(objective, batch, state)
        fixed = naive_constants(batch, settings, seen, before, memory)
        state, now, memory = loss.state, fixed.recent, fixed.memory
        z = np.asarray(batch.queries[:REAL], np.float64)
        np.testing.assert_allclose(
            loss.value, naive_value(z, fixed, settings), rtol=2e-5, atol=1e-8
        )
        np.testing.assert_allclose(loss.confident, fixed.confident.mean(), rtol=1e-6)
        wanted = naive_gradient(z, fixed, settings)
        np.testing.assert_allclose(gradient[:REAL], wanted, rtol=1e-4, atol=5e-5)
        np.testing.assert_array_equal(gradient[REAL:], 0)
        assert np.isfinite(np.asarray(state.pairs.distances)).sum() == len(memory)
        known = np.asarray(state.now.known)
        np.testing.assert_array_equal(state.now.items[known], [item for item, _ in now])
        np.testing.assert_allclose(state.now.entropies[known], [h for _, h in now], rtol=2e-4)
        # 6 of 16 queries are a whole step's evidence.
        np.testing.assert_allclose(loss.rate, 6 / 16, rtol=1e-6)
        np.testing.assert_allclose(loss.decay, 0.1 * 6 / 16, rtol=1e-6)
        assert loss.moves and not loss.restore


def calibration_of(seen, gallery):
    t = RANKING.relative_temperature * TEMPERATURE
    mass = np.log(np.exp(np.asarray(seen, np.float64) @ gallery.T.astype(np.float64) / t).sum(0))
    recent = jnp.zeros((RANKING.recent, WIDTH), jnp.float32)
    return Calibration(
        jnp.asarray(mass, jnp.float32), jnp.float32(len(seen)), recent, no_sort(WIDTH)
    )


def test_padding_never_matters(unit_rows, make_batch):
    """What stands in padded rows changes no bit of loss, gradient or memory."""
    gallery, objective = unit_rows(0, SIZE, WIDTH), epcl(Reex(k=3))
    found = []
    for seed in (5, 6):
        queries = np.concatenate([unit_rows(1, REAL, WIDTH), unit_rows(seed, 2, WIDTH)])
        batch = make_batch(queries, gallery, real=REAL)
        found.append(value_and_gradient(objective, batch, objective.init(start(gallery))))
    (one, slope), (other, other_slope) = found
    np.testing.assert_array_equal(slope, other_slope)
    assert one.value == other.value
    kept = np.isfinite(np.asarray(one.state.pairs.distances))
    states = [
        (x.state.now, x.state.before, [part[kept] for part in x.state.pairs]) for x in (one, other)
    ]
    for a, b in zip(*map(jax.tree.leaves, states), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("pool", ["batch", "gallery"])
@pytest.mark.parametrize("case", ["one query", "all equal", "queries are proxies", "E is empty"])
def test_degenerate_batches_have_finite_gradients(case, pool, unit_rows, make_batch):
    gallery, k = unit_rows(0, SIZE, WIDTH), 2
    queries = unit_rows(1, ROWS, WIDTH)
    if case == "one query":
        queries = queries[:1]
    elif case == "all equal":
        queries, gallery = np.tile(queries[:1], (ROWS, 1)), np.tile(queries[:1], (SIZE, 1))
    elif case == "queries are proxies":
        queries = gallery[:ROWS]
    else:
        k = SIZE
    contrast_alone = {"uniformity_weight": 0.0, "gap_weight": 0.0}
    for extra in ({"share": 1.0}, contrast_alone):
        objective = epcl(Reex(k=k, pool=pool, **extra))
        batch = make_batch(queries, gallery, temperature=0.01)
        loss, gradient = value_and_gradient(
            objective, batch, objective.init(start(gallery, len(queries)))
        )
        assert np.isfinite(loss.value) and np.isfinite(gradient).all()
        if extra is contrast_alone and case == "E is empty":
            assert loss.value == 0 and not gradient.any()  # nothing is ruled out


@pytest.mark.parametrize("restart", [True, False])
def test_another_sort_of_queries_puts_the_source_back_once(restart, unit_rows, make_batch):
    gallery, objective = unit_rows(0, SIZE, WIDTH), epcl(Reex(k=3, restart=restart))
    state, queries = objective.init(start(gallery)), unit_rows(1, ROWS, WIDTH)
    for step in range(2):
        batch = make_batch(queries, gallery, changed=True, step=step)
        loss = objective.loss(batch, state)
        assert loss.restore == (restart and step == 0)


def test_a_batch_of_repeats_moves_nothing(unit_rows, make_batch):
    gallery, objective = unit_rows(0, SIZE, WIDTH), epcl(Reex(k=3))
    state = objective.init(start(gallery))
    loss = objective.loss(make_batch(unit_rows(1, ROWS, WIDTH), gallery, counted=False), state)
    assert not loss.moves and loss.rate == 0 and loss.decay == 0
    assert not loss.state.now.known.any()


def test_single_queries_learn_once_there_are_others_to_exclude(toy_stream, toy_queries):
    stream = toy_stream("reex", rows=1, k=3, steps=1, weight_decay=0.0, memory=4)
    source, queries = stream.state.parameters, toy_queries(1, 8)

    def moved():
        now = stream.state.parameters
        return max(np.abs(now[name] - source[name]).max() for name in source)

    stream(queries[:1])
    assert moved() == 0, "nothing to exclude yet"
    for at in range(1, 8):
        stream(queries[at : at + 1])
    assert moved() > 1e-6
    assert stream.state.objective.now.known.all() and stream.state.calibration.seen == 8


def test_a_repeated_query_teaches_nothing(toy_stream, toy_queries):
    stream = toy_stream("reex", rows=1, k=3, steps=2)
    for at in range(6):
        stream(toy_queries(1, 6)[at : at + 1])
    before = stream.state
    for _ in range(3):
        stream(toy_queries(1, 6)[2:3])
    after = stream.state
    for part in ("parameters", "optimizer", "calibration"):
        for a, b in zip(*(jax.tree.leaves(getattr(x, part)) for x in (before, after)), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=part)
    assert after.batches == before.batches + 3
