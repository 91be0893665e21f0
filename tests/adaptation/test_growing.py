"""Galleries that grow and shrink under an adapter that has learned."""

import jax
import numpy as np
import pytest

from reex_jax import Adapter
from reex_jax.adaptation.candidates import Memory, moved
from reex_jax.errors import UserError
from reex_jax.settings.ranking import Ranking

BATCH = 8
EXTRA = ("a", "b", "c")


@pytest.fixture(scope="module")
def tokens(golden):
    return golden["tokens"].astype(np.int32)


@pytest.fixture(scope="module")
def make(tiny, golden):
    def adapter(gallery=None, **changes):
        settings = {"query": "text", "steps": 1, "batch_size": BATCH} | changes
        rows = golden["image_embeds"] if gallery is None else gallery
        return Adapter(tiny, rows, **settings)

    return adapter


@pytest.fixture(scope="module")
def extra(unit_rows):
    return unit_rows(3, len(EXTRA), 32)


def learned(adapter, tokens, batches=2):
    for start in range(0, BATCH * batches, BATCH):
        adapter.adapt(tokens[start : start + BATCH])
    return adapter


def same(a, b):
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(one, other)


def learned_apart_from_items(state):
    return state.parameters, state.optimizer, state.calibration.recent, state.batches


def test_items_that_are_added_are_found_and_nothing_is_forgotten(make, tokens, extra):
    adapter = learned(make(), tokens)
    before, embedding = jax.device_get(adapter.state), np.asarray(adapter.embed(tokens[:1]))
    adapter.add(["mine"], embedding)
    after = adapter.state
    same(learned_apart_from_items(before), learned_apart_from_items(after))
    np.testing.assert_array_equal(after.calibration.log_mass[:-1], before.calibration.log_mass)
    assert np.isfinite(after.calibration.log_mass[-1])
    assert adapter.ids == (*map(str, range(96)), "mine")
    assert adapter.gallery.shape == (97, 32)
    found = adapter.search(tokens[:1], k=97, learn=False)
    assert found.indices.shape == (1, 97) and found.scores.max() == pytest.approx(1, abs=1e-5)
    assert adapter.ids[found.indices[0, found.scores[0].argmax()]] == "mine"
    adapter.search(tokens[16:24])  # and it goes on learning
    assert adapter.state.batches == 3 and adapter.state.skipped == 0


@pytest.mark.parametrize("method", ["reex", "eata", "tcr", "sar"])
def test_what_comes_and_goes_leaves_no_trace(make, tokens, extra, method):
    """Also the gallery positions in EPCL's memory, and EATA's mean prediction."""
    adapter, other = (learned(make(method=method), tokens) for _ in range(2))
    adapter.add(EXTRA, extra)
    adapter.remove(EXTRA)
    state = adapter.state
    assert state.calibration.log_mass.shape == (99,), "the places stay"
    calibration = state.calibration._replace(log_mass=state.calibration.log_mass[:96])
    state = state._replace(calibration=calibration)
    if method == "eata":
        own = state.objective
        assert not own.average[96:].any()
        state = state._replace(objective=own._replace(average=own.average[:96]))
    same(state, other.state)
    wanted = other.search(tokens[16:24], k=5)
    np.testing.assert_array_equal(adapter.search(tokens[16:24], k=5).indices, wanted.indices)


def test_positions_follow_items_that_are_removed(make, tokens):
    adapter = learned(make(), tokens)
    before = jax.device_get(adapter.state)
    names, memory = adapter.ids, before.objective.now
    known = memory.items[memory.known]
    gone = {names[known[0]], names[known[-1]], "0"}
    adapter.remove(sorted(gone))
    after = jax.device_get(adapter.state).objective.now
    kept = [names[item] for item in known if names[item] not in gone]
    assert [adapter.ids[item] for item in after.items[after.known]] == kept
    assert len(kept) < len(known)
    same(before.parameters, adapter.state.parameters)
    found = adapter.search(tokens[16:24], k=93)
    assert found.indices.max() == 92 and adapter.state.skipped == 0
    with pytest.raises(UserError, match=r"k is 94, but must lie in 1\.\.93"):
        adapter.search(tokens[:1], k=94)


def test_a_memory_follows_any_change():
    items, known = np.array([4, 0, 2, 2, 0], np.int32), np.array([True, True, True, True, False])
    memory = Memory(items, np.arange(5, dtype=np.float32), known)
    after = moved(memory, np.array([2, -1, 4], np.int32))
    np.testing.assert_array_equal(after.items, [2, 0, 0, 0, 0])
    np.testing.assert_array_equal(after.known, [True, False, True, True, False])
    nothing = moved(memory, np.array([-1, -1], np.int32))
    assert not nothing.known.any()


def test_a_new_item_s_hubness_is_what_the_stream_would_have_shown(make, tokens, golden, extra):
    """While every query is remembered the two ways are one, but for how far adaptation was."""
    whole = np.concatenate([golden["image_embeds"], extra])
    grown, full = make(method="none"), make(whole, method="none")
    learned(grown, tokens), learned(full, tokens)
    grown.add(EXTRA, extra)
    np.testing.assert_allclose(grown.correction(), full.correction(), atol=1e-5)


def test_calibration_may_be_off(make, tokens, extra):
    adapter = learned(make(ranking=Ranking(calibration="off")), tokens)
    adapter.add(EXTRA, extra)
    assert adapter.correction() is None
    assert adapter.search(tokens[:2], k=99).indices.max() == 98


@pytest.mark.parametrize("method", ["reex", "eata"])
def test_a_saved_state_goes_on_in_a_larger_gallery(make, tokens, golden, extra, tmp_path, method):
    adapter = learned(make(method=method), tokens)
    adapter.save(tmp_path)
    whole = np.concatenate([golden["image_embeds"], extra])
    order = np.random.default_rng(0).permutation(99)
    names = [*map(str, range(96)), *EXTRA]
    larger = make(whole[order], ids=[names[i] for i in order], method=method)
    larger.restore(tmp_path)
    adapter.add(EXTRA, extra)
    wanted = jax.device_get(adapter.state)
    same(wanted.parameters, larger.state.parameters)
    np.testing.assert_array_equal(
        wanted.calibration.log_mass[order], larger.state.calibration.log_mass
    )
    one, other = (made.search(tokens[16:24], k=5) for made in (adapter, larger))
    for a, b in zip(one.indices, other.indices, strict=True):
        assert [adapter.ids[i] for i in a] == [larger.ids[i] for i in b]


def test_a_gallery_that_grew_is_saved_and_restored(make, tokens, extra, golden, tmp_path):
    adapter = learned(make(), tokens)
    adapter.remove(["5", "0"])
    adapter.add(EXTRA, extra)
    adapter.save(tmp_path)
    again = make(np.asarray(adapter.gallery), ids=adapter.ids)
    again.restore(tmp_path)
    same(again.state, adapter.state)
    plain = make()
    with pytest.raises(UserError, match=r"gallery of 97 items, of which this one lacks 3, .*'a'"):
        plain.restore(tmp_path)
    assert plain.state.batches == 0


def test_items_embedded_otherwise_are_refused(make, tokens, extra, golden, tmp_path):
    learned(make(), tokens).save(tmp_path)
    rows = np.concatenate([golden["image_embeds"], extra])
    rows[7] = extra[0]
    with pytest.raises(UserError, match="was saved with another gallery"):
        make(rows).restore(tmp_path)


def test_more_devices_hold_the_same(make, tokens, extra):
    one, two = (learned(make(devices=number), tokens) for number in (1, 2))
    for adapter in (one, two):
        adapter.add(EXTRA, extra)
        adapter.remove(["1"])
        adapter.adapt(tokens[16:24])
    np.testing.assert_allclose(one.correction(), two.correction(), rtol=1e-4, atol=1e-4)
    assert one.ids == two.ids


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda a, x: a.add(["3"], x[:1]), r"gallery id '3' is there already; remove it first"),
        (lambda a, x: a.add(["a", "a"], x[:2]), r"gallery id 'a' is given twice"),
        (lambda a, x: a.add(["a"], x), r"has 3 embeddings but 1 ids"),
        (lambda a, x: a.add("abc", x), r"has 3 embeddings but 1 ids"),
        (lambda a, x: a.add([1, 2, 3], x), r"gallery id 1 is no text; write str\(1\)"),
        (lambda a, x: a.add(EXTRA, x[:, :9] * 2), r"not finite vectors of length 1, .* 'a'"),
        (lambda a, x: a.add(["a"], np.eye(1, 9)), r"9 wide, but the model's queries are 32 wide"),
        (lambda a, x: a.add([], x[:0]), r"at least one item"),
        (lambda a, x: a.remove(["a"]), r"gallery id 'a' is not there, so it cannot be removed"),
        (lambda a, x: a.remove(a.ids), r"all items would be removed"),
    ],
)
def test_faults_change_nothing(make, extra, change, message):
    adapter = make(method="none")
    with pytest.raises(UserError, match=message):
        change(adapter, extra)
    assert adapter.ids == tuple(map(str, range(96))) and adapter.gallery.shape == (96, 32)


def test_a_method_that_says_nothing_of_its_items_is_refused(make, extra, tmp_path, monkeypatch):
    (tmp_path / "counting.py").write_text(COUNTING, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    adapter = make(method="counting:counting")
    with pytest.raises(UserError, match=r"'counting:counting' keeps something of each gallery it"):
        adapter.add(EXTRA, extra)
    assert adapter.gallery.shape == (96, 32)


COUNTING = """
import jax.numpy as jnp

from reex_jax.adaptation.objective import Loss, Objective
from reex_jax.settings.methods import Method


def counting(settings: Method) -> Objective:
    return Objective(
        lambda batch, state: Loss(-batch.similarities.max(), state),
        lambda start: jnp.zeros(start.gallery.shape[0]),
    )
"""
