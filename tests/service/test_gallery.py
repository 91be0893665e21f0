"""Answers among candidates: with all items they are the exact ones, with few those of a loop."""

import dataclasses
import logging

import jax
import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.gsr.features import FusionFeatures
from reex_jax.index.backends.exact import ExactSearch
from reex_jax.service.asked import Ask, Lane, View
from reex_jax.service.engine import Engine
from reex_jax.service.gallery import CandidateGallery, ExactGallery
from reex_jax.service.texts import load_repairs
from reex_jax.settings.repair import FusionSettings
from reex_jax.settings.search import Search
from reex_jax.settings.service import Learning, Limits, Service

T, SIZES = 0.05, (2, 4)
FEATURES = FusionFeatures(*np.array([[0.5, 0.0, 0.1, 0.9]] * 3, np.float32).T)


def unit(seed, n, d=16):
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def rows():
    made = unit(0, 50)
    made[20:24] = made[3]  # ties go by position
    return made


class Short:
    """A back end that finds but `found` items, in any order."""

    def __init__(self, found):
        self.found = np.asarray(found)

    def search(self, queries, k):
        positions = np.full((len(queries), k), -1, np.int32)
        positions[:, : len(self.found)] = self.found
        return np.zeros(positions.shape, np.float32), positions


def test_with_all_items_everything_is_as_in_exact_search(rows):
    exact = ExactGallery(rows, T, SIZES)
    near = CandidateGallery(rows, ExactSearch(rows, 1), 1000, T, SIZES)
    assert exact.reach == near.reach == 50
    queries, which = np.concatenate([unit(1, 2), rows[3:4]]), np.array([0, 2, 0], np.int32)
    correction = np.random.default_rng(2).normal(size=50).astype(np.float32)
    found = []
    for gallery in (exact, near):
        taken = gallery.corrected(gallery.no_corrections(3), 2, correction)
        taken = gallery.corrected(taken, 1, None)
        found.append(gallery.rank(queries, which, taken, 10))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(other[:3], one[:3], atol=1e-5)
    assert list(found[1].positions[2, :5]) == [3, 20, 21, 22, 23]
    for rule in ("dynamic", "original", "replace", "fixed"):
        given = (rule, FusionSettings(), queries, unit(4, 3), FEATURES)
        for one, other in zip(exact.fuse(*given), near.fuse(*given), strict=True):
            np.testing.assert_allclose(other[:3], one[:3], atol=1e-5)


def test_few_candidates_are_ranked_as_a_loop_ranks_them(rows):
    near = CandidateGallery(rows.astype(np.float16), Short([40, 7, 9, 30]), 6, T, SIZES)
    assert near.reach == 6
    (query,), correction = unit(1, 1), np.zeros(50, np.float32)
    correction[7] = 2.0
    taken = near.corrected(near.no_corrections(1), 0, correction)
    found = near.rank(query[None], np.zeros(1, np.int32), taken, 5)
    own = np.array([7, 9, 30, 40])
    cosines = rows[own].astype(np.float16).astype(np.float64) @ query
    scores = cosines - correction[own]
    order = np.argsort(-scores)
    assert list(found.positions[0]) == [*own[order], -1]
    np.testing.assert_allclose(found.scores[0, :4], cosines[order], atol=1e-5)
    p = np.exp(scores / T - (scores / T).max())
    p /= p.sum()
    assert found.entropy[0] == pytest.approx(-(p * np.log(p)).sum() / np.log(4), abs=1e-5)


@pytest.mark.parametrize("backend", [None, Short([]), Short([1, 2])])
def test_a_query_that_is_nothing_knows_nothing(rows, backend):
    near = CandidateGallery(rows, backend, 4, T, SIZES) if backend else ExactGallery(rows, T, SIZES)
    query = np.full((1, 16), np.nan, np.float32)
    found = near.rank(query, np.zeros(1, np.int32), near.no_corrections(1), 3)
    assert found.entropy[0] == 1.0
    assert (found.positions[0] >= 0).sum() == (3 if backend is None else len(backend.found))


def all_candidates(scenes) -> dict:
    rows = scenes[0].embeddings
    return {"backend": ExactSearch(rows, 1), "candidates": len(rows)}


TEXTS = ("a rde crcle", "a gren trianle on a blak wall", "teh blue hart", "a ring")


def test_answers_among_all_candidates_are_the_exact_ones(model, scenes, settings):
    """Calibrated, repaired, compared; after something was learned, which is here made up."""
    given = all_candidates(scenes)
    exact = Engine(model, scenes[0].embeddings, settings)
    backend = given.pop("backend")
    near = Engine(model, scenes[0].embeddings, dataclasses.replace(settings, **given), backend)
    lane, repairs = Lane("text", "reex"), load_repairs(settings.gsr)
    learned = [1.02 * np.asarray(leaf) for leaf in jax.tree.leaves(exact.view(lane).parameters)]
    correction = 0.05 * np.random.default_rng(0).normal(size=len(scenes[0])).astype(np.float32)
    asks = []
    for text in TEXTS:
        repaired = repairs.repair(text)
        inputs = [model.prepare_text(x) for x in (text, repaired.repair.repaired)]
        asks.append(Ask(lane, inputs[0], 20, compare=True, repaired=repaired))
        if text != repaired.repair.repaired:
            asks[-1] = dataclasses.replace(asks[-1], repair_inputs=inputs[1])
    answers = []
    for engine in (exact, near):
        engine.publish(lane, learned, View(None, correction, 3))
        answers.append(engine.answer(asks))
    for one, other in zip(*answers, strict=True):
        for right, found in ((one.ranked, other.ranked), (one.before, other.before)):
            np.testing.assert_array_equal(found.positions, right.positions)
            np.testing.assert_allclose(found.scores, right.scores, atol=1e-5)
        assert (other.confident, other.learned) == (one.confident, 3)
        assert other.entropy == pytest.approx(one.entropy, abs=1e-4)
        assert other.weight == pytest.approx(one.weight, abs=1e-4)
    assert max(answer.weight for answer in answers[1]) > 0.1
    assert any((a.ranked.positions != a.before.positions).any() for a in answers[1])


@pytest.mark.slow
def test_a_service_over_all_candidates_answers_as_the_exact_one(
    make_service, tmp_path, scenes, wait_until
):
    """Repair, calibration, comparison, confidence, and what is learned in between."""
    answers = []
    # faiss is never asked: the test gives its own.
    changes = {"search": Search(backend="faiss"), **all_candidates(scenes)}
    for name, changed in (("exact", {}), ("near", changes)):
        with make_service(tmp_path / name, **changed) as (client, parts):
            said = client.get("/v1/index").json()
            assert (said["backend"], said["candidates"]) == (
                "faiss" if changed else "exact",
                len(scenes[0]),
            )
            found = []
            for text in TEXTS:
                request = {"text": text, "k": 20, "compare": True}
                found.append(client.post("/v1/search", json=request).json())
                wait_until(parts.teacher.idle)
            assert parts.engine.view(("text", "reex")).batches == len(TEXTS)
            answers.append(found)
    for exact, near in zip(*answers, strict=True):
        for key in ("results", "before"):
            scores = [[hit.pop("score") for hit in one[key]] for one in (exact, near)]
            np.testing.assert_allclose(scores[1], scores[0], atol=1e-5)
            assert near[key] == exact[key]
        assert near["confident"] == exact["confident"]
        assert near["entropy"] == pytest.approx(exact["entropy"], abs=1e-4)
        assert near["repair"]["weight"] == pytest.approx(exact["repair"]["weight"], abs=1e-4)
    assert answers[1][1]["repair"]["weight"] > 0
    moved = [hit["before"] != rank for one in answers[1] for rank, hit in enumerate(one["results"])]
    assert any(moved)


@pytest.fixture(scope="module")
def few(make_service, tmp_path_factory, scenes):
    """A service that looks at 25 candidates, and learns nothing."""
    changes = all_candidates(scenes) | {"candidates": 25, "learning": Learning(on=False)}
    with make_service(tmp_path_factory.mktemp("few"), **changes) as made:
        yield made


def test_nothing_compiles_after_the_warm_up(few, caplog):
    client, _ = few
    assert client.get("/v1/index").json()["candidates"] == 25
    with caplog.at_level(logging.WARNING), jax.log_compiles():
        for text in TEXTS:
            found = client.post("/v1/search", json={"text": text, "k": 20, "compare": True})
            assert len(found.json()["results"]) == 20
    assert not [r for r in caplog.records if "XLA compilation" in r.getMessage()]


def test_fewer_results_where_fewer_are_named(few, monkeypatch):
    client, parts = few
    monkeypatch.setattr(parts.engine._gallery, "_backend", Short([5, 2]))
    found = client.post("/v1/search", json={"text": "a ring", "compare": True}).json()
    assert sorted(hit["position"] for hit in found["results"]) == [2, 5]
    assert {hit["before"] for hit in found["results"]} == {0, 1}


def test_what_cannot_be_is_refused():
    faiss = Search(backend="faiss")
    with pytest.raises(UserError, match=r"candidates is 99, but limits\.k .* 100"):
        Service(search=faiss, candidates=99)
    assert Service(search=faiss, candidates=99, limits=Limits(k=99)).candidates == 99
    assert Service(candidates=99).search.backend == "exact"
    with pytest.raises(UserError, match=r"search\.devices is 2"):
        Service(search=Search(devices=2))
    with pytest.raises(UserError, match="backend"):
        dataclasses.replace(faiss, backend="fais")
