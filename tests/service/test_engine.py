"""Answers against those of an `Adapter`, and against NumPy."""

import logging

import jax
import numpy as np
import pytest

from reex_jax.adaptation.adapter import Adapter
from reex_jax.adaptation.inputs import RepairedQueries
from reex_jax.gsr.features import FusionFeatures
from reex_jax.service.asked import Ask, Lane, View
from reex_jax.service.engine import Engine
from reex_jax.service.texts import load_repairs

TEXTS = (
    "a red circle above a blue square",
    "a gren trianle on a blak wall",
    "there is a yellow wedge and a large black diamond left of an azure heart on a wall",
    "teh blue hart",
    "a ring",
)


@pytest.fixture(scope="module")
def repairs(settings):
    return load_repairs(settings.gsr)


@pytest.fixture(scope="module")
def engine(model, scenes, settings):
    made = Engine(model, scenes[0].embeddings, settings)
    made.warm_up()
    return made


@pytest.fixture
def asks(model, repairs):
    """(lane, texts, **options) -> searches."""

    def make(lane, texts, repair=True, **options):
        found = []
        for text in texts:
            repaired = repairs.repair(text) if repair else None
            mended = None
            if repaired and repaired.repair.repaired != text:
                mended = model.prepare_text(repaired.repair.repaired)
            options = {"k": 7} | options
            found.append(
                Ask(
                    lane,
                    model.prepare_text(text),
                    repaired=repaired,
                    repair_inputs=mended,
                    **options,
                )
            )
        return found

    return make


def adapter(model, scenes, query, method="none", **settings) -> Adapter:
    parameters = {"text": "block_layer_norms", "image": "layer_norms"}[query]
    return Adapter(
        model,
        scenes[0].embeddings,
        query=query,
        method=method,
        parameters=parameters,
        score="before",
        batch_size=4,
        steps=1,
        **settings,
    )


def published(engine, lane, one: Adapter) -> None:
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(one.state.parameters)]
    engine.publish(lane, leaves, View(None, np.asarray(one.correction()), int(one.state.batches)))


def check(answers, result) -> None:
    for row, answer in enumerate(answers):
        np.testing.assert_array_equal(answer.ranked.positions, result.indices[row])
        np.testing.assert_allclose(answer.ranked.scores, result.scores[row], atol=1e-6)


def test_unadapted_answers_are_those_of_an_adapter(engine, model, scenes, asks):
    one = adapter(model, scenes, "text")
    wanted = asks(Lane("text", "none"), TEXTS[:4], repair=False)
    check(engine.answer(wanted), one.search(TEXTS[:4], 7, learn=False))


def test_repaired_and_adapted_answers_are_those_of_an_adapter(engine, model, scenes, asks, repairs):
    one = adapter(model, scenes, "text", "reex", fusion="dynamic", learning_rate=0.05)
    found = [repairs.repair(text) for text in TEXTS[:4]]
    features = FusionFeatures(*np.array([r.features for r in found], np.float32).T)
    queries = RepairedQueries(TEXTS[:4], [r.repair.repaired for r in found], features)
    first = one.search(queries, 7, learn=False)
    one.adapt(queries)
    lane = Lane("text", "reex")
    published(engine, lane, one)
    second = one.search(queries, 7, learn=False)
    answers = engine.answer(asks(lane, TEXTS[:4]))
    check(answers, second)
    assert np.abs(first.scores - second.scores).max() > 1e-4, "nothing was learned"
    assert [answer.learned for answer in answers] == [1] * 4
    assert answers[1].weight > 0.1 and answers[0].weight == 0.0


def test_image_queries_too(engine, model, scenes):
    _, demo = scenes
    one = adapter(model, scenes, "image", "reex", learning_rate=0.05)
    pictures = [demo.picture(i)[0] for i in range(4)]
    one.adapt(pictures)
    lane = Lane("image", "reex")
    published(engine, lane, one)
    wanted = [Ask(lane, model.prepare_image(picture), 7) for picture in pictures]
    check(engine.answer(wanted), one.search(pictures, 7, learn=False))


def test_searches_of_all_kinds_share_a_step(engine, model, scenes, asks):
    lane, plain = Lane("text", "reex"), Lane("text", "none")
    one = adapter(model, scenes, "text", "reex", fusion="dynamic", learning_rate=0.05)
    published(engine, lane, one)
    picture = Ask(Lane("image", "none"), model.prepare_image(scenes[1].picture(3)[0]), 5)
    mixed = [
        *asks(lane, TEXTS[:2]),
        *asks(plain, TEXTS[:2], repair=False, calibration=False, k=3),
        picture,
        *asks(lane, TEXTS[2:], compare=True, k=20),
    ]
    together = engine.answer(mixed)
    for ask, answer in zip(mixed, together, strict=True):
        (alone,) = engine.answer([ask])
        np.testing.assert_array_equal(answer.ranked.positions, alone.ranked.positions)
        np.testing.assert_allclose(answer.ranked.scores, alone.ranked.scores, atol=1e-6)
        assert len(answer.ranked.positions) == ask.k
    assert together[4].ranked.positions[0] == 3
    source = engine.answer(asks(plain, TEXTS[2:], repair=False, calibration=False, k=20))
    for answer, other in zip(together[5:], source, strict=True):
        np.testing.assert_array_equal(answer.before.positions, other.ranked.positions)


def test_calibration_is_switched_for_each_search(engine, model, scenes, asks):
    lane = Lane("text", "none")
    correction = np.zeros(len(scenes[0]), np.float32)
    (plain,) = engine.answer(asks(lane, TEXTS[:1], repair=False, k=20))
    correction[plain.ranked.positions[0]] = 1.0
    leaves = jax.tree.leaves(engine.view(lane).parameters)
    engine.publish(lane, leaves, View(None, correction))
    (off,) = engine.answer(asks(lane, TEXTS[:1], repair=False, calibration=False, k=20))
    (on,) = engine.answer(asks(lane, TEXTS[:1], repair=False, k=20))
    engine.publish(lane, leaves, View(None, None))
    np.testing.assert_array_equal(off.ranked.positions, plain.ranked.positions)
    np.testing.assert_array_equal(on.ranked.positions[:-1], plain.ranked.positions[1:])


def test_entropy_is_that_of_the_softmax(engine, model, scenes, asks):
    (answer,) = engine.answer(asks(Lane("text", "none"), TEXTS[:1], repair=False))
    cosines = model.encode_texts(TEXTS[:1]) @ scenes[0].embeddings.T
    logits = cosines[0].astype(np.float64) / model.temperature
    p = np.exp(logits - logits.max())
    p /= p.sum()
    assert answer.entropy == pytest.approx(-(p * np.log(p)).sum() / np.log(len(p)), abs=1e-5)


def test_half_of_the_queries_count_as_confident(model, scenes, settings, asks):
    engine = Engine(model, scenes[0].embeddings, settings)
    texts = [scenes[1].text(i)[0] for i in range(40)]
    answers = engine.answer(asks(Lane("text", "none"), texts, repair=False))
    entropies = np.array([a.entropy for a in answers])
    confident = np.array([a.confident for a in answers])
    assert 0.3 < confident[8:].mean() < 0.7
    assert entropies[confident].mean() < entropies[~confident].mean()


def test_nothing_compiles_after_the_warm_up(engine, model, scenes, asks, caplog):
    lane = Lane("text", "reex")
    published(engine, lane, adapter(model, scenes, "text", "reex"))
    picture = Ask(Lane("image", "reex"), model.prepare_image(_grey()), 20, compare=True)
    with caplog.at_level(logging.WARNING), jax.log_compiles():
        for count in range(1, 6):
            engine.answer([*asks(lane, TEXTS[:count], compare=True), picture])
        engine.answer(asks(lane, ["a red ball " * 30]))
    assert not [r for r in caplog.records if "XLA compilation" in r.getMessage()]


def _grey():
    from PIL import Image

    return Image.new("RGB", (80, 60), (90, 90, 90))


def test_an_adapter_goes_on_from_an_earlier_state(model, scenes):
    one = adapter(model, scenes, "text", "reex", learning_rate=0.05)
    before, first = one.state, one.search(TEXTS[:4], 7, learn=False)
    one.adapt(TEXTS[:4])
    one.state = before
    np.testing.assert_array_equal(one.search(TEXTS[:4], 7, learn=False).scores, first.scores)
