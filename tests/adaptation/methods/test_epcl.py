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
from reex_jax.settings.methods import Reex

ROWS, REAL, SIZE, WIDTH = 9, 7, 12, 6
TEMPERATURE = 0.05
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
    "momentum": 0.9,
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


def naive_proxy(row, gallery, p):
    """The weights of the p nearest are their cosines, 1 for the nearest if it has none."""
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


def naive_constants(batch, settings, threshold, memory):
    """Everything through which no gradient flows, from the real rows alone."""
    z, gallery = (np.asarray(x, np.float64) for x in (batch.queries, batch.gallery))
    z = z[np.asarray(batch.mask)]
    rows, similar, k = range(len(z)), z @ gallery.T, settings["k"]
    entropies = np.array([naive_entropy(row) for row in similar])
    if int(batch.step) == 0:
        own = np.quantile(entropies, settings["quantile"])
        moved = settings["momentum"] * threshold + (1 - settings["momentum"]) * own
        threshold = own if np.isnan(threshold) else moved
    proxies = np.array([naive_proxy(row, gallery, settings["p"]) for row in similar])
    first = [nearest(row, 1)[0] for row in similar]
    targets = proxies if settings["pool"] == "batch" else gallery
    item = first if settings["pool"] == "batch" else range(len(gallery))
    excluded = []
    for i in rows:
        own = i if settings["pool"] == "batch" else first[i]
        plausible = nearest(similar[i], k)
        excluded.append([j for j in range(len(item)) if j != own and item[j] not in plausible])
    return SimpleNamespace(
        proxies=proxies,
        targets=targets,
        excluded=excluded,
        kept=[choose(excluded, z @ targets.T, settings, batch, i) for i in rows],
        confident=entropies <= threshold,
        threshold=threshold,
        memory=naive_memory(memory, z, proxies, settings, batch),
    )


def choose(excluded, scores, settings, batch, i):
    strategy, m, row = settings["strategy"], settings["m"], excluded[i]
    if strategy == "outside_top_k":
        return row
    if strategy == "random_m":  # which ones is the key's affair; test_exclusion.py tests that
        mask = np.zeros(scores.shape, bool)
        for number, members in enumerate(excluded):
            mask[number, members] = True
        chosen = restrict(
            jnp.asarray(mask), jnp.asarray(scores, jnp.float32), strategy, m, batch.key
        )
        return list(np.flatnonzero(chosen[i]))
    sign = -1 if strategy == "next_m" else 1
    return sorted(row, key=lambda j: (sign * scores[i, j], j))[:m]


def naive_value(z, fixed, settings):
    """The loss at embeddings z [n, d] float64 of the real rows, the rest held fixed."""
    tau, total = settings["relative_temperature"] * TEMPERATURE, 0.0
    for i, row in enumerate(z):
        mass = [np.exp(row @ c / tau) for c in fixed.targets]
        against = sum(mass[j] for j in fixed.kept[i])
        if fixed.confident[i]:
            if settings["split"] in ("both", "confident"):
                own = np.exp(row @ fixed.proxies[i] / tau)
                shares = np.array([own, *(mass[j] for j in fixed.kept[i])]) / (own + against)
                entropy = -sum(shares * np.log(shares))
                total += entropy if settings["commit"] == "entropy" else -np.log(shares[0])
        elif settings["split"] in ("both", "ambiguous"):
            inside = sum(e for j, e in enumerate(mass) if j not in fixed.excluded[i])
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
    "another threshold": {"quantile": 0.8, "momentum": 0.4, "relative_temperature": 1.0},
    "memory of one batch": {"batches": 1, "share": 1.0},
}


@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradient_are_those_of_the_loop(name, unit_rows, make_batch):
    settings = DEFAULTS | CASES[name]
    gallery, objective = unit_rows(0, SIZE, WIDTH), epcl(Reex(**settings))
    state, threshold, memory = objective.init(start(gallery)), np.nan, []
    for seed, index, step in ((1, 0, 0), (2, 0, 1), (3, 1, 0)):
        batch = make_batch(unit_rows(seed, ROWS, WIDTH), gallery, real=REAL, index=index, step=step)
        loss, gradient = value_and_gradient(objective, batch, state)
        fixed = naive_constants(batch, settings, threshold, memory)
        state, threshold, memory = loss.state, fixed.threshold, fixed.memory
        z = np.asarray(batch.queries[:REAL], np.float64)
        np.testing.assert_allclose(
            loss.value, naive_value(z, fixed, settings), rtol=2e-5, atol=1e-8
        )
        np.testing.assert_allclose(state.threshold, threshold, rtol=1e-5)
        np.testing.assert_allclose(loss.confident, fixed.confident.mean(), rtol=1e-6)
        wanted = naive_gradient(z, fixed, settings)
        np.testing.assert_allclose(gradient[:REAL], wanted, rtol=1e-4, atol=2e-5)
        np.testing.assert_array_equal(gradient[REAL:], 0)
        stored = np.isfinite(np.asarray(state.pairs.distances)).sum()
        assert stored == len(memory)


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
    for a, b in zip(jax.tree.leaves(one.state), jax.tree.leaves(other.state), strict=True):
        a, b = (np.asarray(x)[kept] if np.ndim(x) else np.asarray(x) for x in (a, b))
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
