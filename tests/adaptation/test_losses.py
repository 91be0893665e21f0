"""The baselines' losses against their formulas in float64, with padding that must not count.

tests/adaptation/test_golden.py compares whole runs of five of them with reference code.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.adaptation.methods.deyo import deyo
from reex_jax.adaptation.methods.eata import EataState, eata
from reex_jax.adaptation.methods.read import read
from reex_jax.adaptation.methods.shot import shot
from reex_jax.adaptation.methods.tcr import tcr
from reex_jax.adaptation.methods.tent import tent
from reex_jax.adaptation.objective import Start
from reex_jax.settings.methods import Deyo, Eata, Read, Shot, Tcr, Tent

ROWS, REAL, SIZE, WIDTH = 10, 8, 11, 6
LOG = np.log(SIZE)
OWN = 0.05  # the temperature of the model that `make_batch` stands for


@pytest.fixture
def batches(unit_rows, make_batch):
    """(seed, **fields) -> a batch with two padded rows, and its real embeddings in float64."""

    def make(seed, **fields):
        batch = make_batch(
            unit_rows(seed, ROWS, WIDTH),
            unit_rows(0, SIZE, WIDTH),
            real=REAL,
            shuffled=unit_rows(seed + 50, ROWS, WIDTH),
            **fields,
        )
        return batch, np.asarray(batch.queries[:REAL], np.float64)

    return make


def gallery_of(batch):
    return np.asarray(batch.gallery, np.float64)


def softmax(rows):
    e = np.exp(rows - rows.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def entropies(p):
    return np.array([-sum(x * np.log(x) for x in row if x > 0) for row in p])


def start(batch):
    return Start(ROWS, batch.gallery, {"w": jnp.ones(2)})


def check(objective, batch, state, wanted, confident=None):
    """The loss's value, and that its gradient is finite and 0 for padded rows."""

    def value(queries):
        loss = objective.loss(replace(batch, queries=queries), state)
        return loss.value, loss

    gradient, loss = jax.grad(value, has_aux=True)(batch.queries)
    np.testing.assert_allclose(loss.value, wanted, rtol=3e-5, atol=1e-6)
    if confident is not None:
        np.testing.assert_allclose(loss.confident, confident, rtol=1e-6)
    assert np.isfinite(gradient).all() and not gradient[REAL:].any()
    return loss


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_tent(batches, temperature):
    batch, z = batches(1)
    p = softmax(z @ gallery_of(batch).T / temperature)
    check(
        tent(Tent(relative_temperature=temperature / OWN)),
        batch,
        (),
        entropies(p).mean(),
        confident=1,
    )


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_read(batches, temperature):
    batch, z = batches(2)
    p = softmax(z @ gallery_of(batch).T / temperature)
    q = p.max(axis=1)
    balance = entropies(softmax(p.sum(axis=0)[None]))[0]
    check(
        read(Read(relative_temperature=temperature / OWN)),
        batch,
        (),
        np.mean(q * (1 - np.log(q) - 1)) - balance,
    )


@pytest.mark.parametrize("above, count", [(0.0, 8), (0.6, 5), (1.0, 0)])
def test_shot(batches, above, count):
    batch, z = batches(3)
    p = softmax(z @ gallery_of(batch).T / 0.1)
    mean, q = p.mean(axis=0), p.max(axis=1)
    sure = q > above
    assert sure.sum() == count
    labels = -np.log(q[sure]).mean() if count else 0
    wanted = entropies(p).mean() + (mean * np.log(mean + 1e-5)).sum() + 0.3 * labels
    objective = shot(
        Shot(relative_temperature=2.0, pseudo_label_weight=0.3, pseudo_label_above=above)
    )
    check(objective, batch, (), wanted, confident=sure.mean())


def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def test_eata_over_three_batches(batches):
    """The first batch is all fresh; later ones must differ from the average prediction."""
    settings = {"entropy_share": 0.6, "redundancy": 0.5, "momentum": 0.7}
    objective, average = eata(Eata(relative_temperature=2.0, **settings)), None
    state = objective.init(start(batches(0)[0]))
    chosen_shares = []
    for seed in (4, 5, 6):
        batch, z = batches(seed)
        p = softmax(z @ gallery_of(batch).T / 0.1)
        h, bound = entropies(p), 0.6 * LOG
        chosen = h < bound
        if average is not None:
            chosen &= np.array([abs(cosine(row, average)) < 0.5 for row in p])
        assert chosen.any()
        wanted = np.mean(h[chosen] * np.exp(bound - h[chosen]))
        loss = check(objective, batch, state, wanted, confident=chosen.mean())
        new = p[chosen].mean(axis=0)
        average = new if average is None else 0.7 * average + 0.3 * new
        np.testing.assert_allclose(loss.state.average, average, atol=1e-6)
        assert loss.moves
        state = loss.state
        chosen_shares.append(chosen.mean())
    assert min(chosen_shares) < 1, "the filters must filter"


def test_eata_waits_where_no_query_is_reliable_and_new(batches):
    batch, _ = batches(4)
    state = eata(Eata()).init(start(batch))._replace(average=jnp.ones(SIZE))
    loss = check(
        eata(Eata(relative_temperature=2.0, redundancy=0.0)), batch, state, 0.0, confident=0
    )
    assert not loss.moves
    np.testing.assert_array_equal(loss.state.average, state.average)
    loss = check(
        eata(Eata(relative_temperature=2.0, entropy_share=0.0)),
        batch,
        eata(Eata()).init(start(batch)),
        0.0,
        confident=0,
    )
    assert not loss.moves and not loss.state.average.any()


@pytest.mark.parametrize("drop_above, count", [(0.0, 5), (0.5, 4), (1.0, 0)])
def test_deyo(batches, drop_above, count):
    batch, z = batches(27)
    p = softmax(z @ gallery_of(batch).T / 0.1)
    other = np.asarray(batch.shuffled()[:REAL], np.float64)
    shuffled = softmax(other @ gallery_of(batch).T / 0.1)
    h, best = entropies(p), p.argmax(axis=1)
    drop = np.array([p[i, j] - shuffled[i, j] for i, j in enumerate(best)])
    chosen = (h < 0.4 * LOG) & (drop > drop_above)
    assert chosen.sum() == count
    weights = np.exp(0.3 * LOG - h) + np.exp(drop)
    wanted = np.mean((h * weights)[chosen]) if count else 0
    objective = deyo(
        Deyo(relative_temperature=2.0, entropy_share=0.4, weight_share=0.3, drop_above=drop_above)
    )
    loss = check(objective, batch, (), wanted, confident=chosen.mean())
    assert loss.moves == (count > 0)


def test_tcr_over_three_batches(batches):
    settings = Tcr(
        relative_temperature=2.0, share=0.4, batches=2, uniformity_weight=0.7, gap_weight=2.0
    )
    objective, memory = tcr(settings), []
    state = objective.init(start(batches(0)[0]))
    for seed, index, step in ((8, 0, 0), (9, 0, 1), (10, 1, 0), (11, 2, 0)):
        batch, z = batches(seed, index=index, step=step)
        gallery = gallery_of(batch)
        c = gallery[(z @ gallery.T).argmax(axis=1)]
        h = entropies(softmax(z @ c.T / 0.1))
        if step == 0 and index < 2:
            spread = [np.linalg.norm(x - x.mean(axis=0), axis=1) for x in (z, c)]
            distance = 2 * np.linalg.norm(z - c, axis=1) - spread[0] - spread[1]
            best = np.argsort(distance)[: int(0.4 * REAL)]
            memory = sorted(
                memory + [(distance[i], h[i], z[i], c[i]) for i in best], key=lambda pair: pair[0]
            )[:ROWS]
        bound = max(pair[1] for pair in memory)
        trusted = h <= bound + 1e-6
        wanted = np.mean([x * max(0, 1 - x / (bound + 1e-3)) for x in h[trusted]])
        wanted += 0.7 * np.exp(-0.1 * np.linalg.norm(z - z.mean(axis=0), axis=1)).mean()
        gap = np.linalg.norm(z.mean(axis=0) - c.mean(axis=0))
        kept = [np.mean([pair[at] for pair in memory], axis=0) for at in (2, 3)]
        wanted += 2.0 * (gap - np.linalg.norm(kept[0] - kept[1])) ** 2
        state = check(objective, batch, state, wanted, confident=trusted.mean()).state
    assert len(memory) == 6 == np.isfinite(state.distances).sum()


def test_eata_s_state_starts_empty(batches):
    state = eata(Eata()).init(start(batches(1)[0]))
    assert isinstance(state, EataState) and not state.measured
    assert not state.average.any() and not state.importance["w"].any()
