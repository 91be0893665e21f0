"""How long a run takes, worked out by hand."""

import pytest

from reex_jax.benchmark.clock import COMPILE_S, Clock, guessed_cost, spoken, total_queries

NONE, TENT, TEXT = (
    ("none", "image_to_text"),
    ("tent", "image_to_text"),
    ("tent", "text_to_image"),
)


def test_groups_that_were_never_measured_are_guessed_from_those_that_were():
    clock = Clock({NONE: 100, TENT: 100, TEXT: 50}, {NONE: 1.0, TENT: 10.0, TEXT: 10.0})
    assert clock.left() is None
    clock.known(NONE, 0.01)
    # 100 x 0.01, 100 x 10 x 0.01 and a program, 50 x 10 x 0.01 (no text was measured) and another.
    assert clock.left() == pytest.approx(1 + 10 + COMPILE_S + 5 + COMPILE_S)
    clock.known(TENT, 0.2)  # twice as slow as was thought
    clock.asked(TENT, 60)
    # Text: the mean unit of both measured groups, (0.01 + 0.02) / 2.
    assert clock.left() == pytest.approx(1 + 8 + 50 * 10 * 0.015 + COMPILE_S)
    for group in (NONE, TENT, TEXT):
        clock.asked(group, 1000)
    assert clock.left() == 0


def test_a_trial_counts_as_one_forward_pass():
    clock = Clock({TENT: 10}, {TENT: guessed_cost(True, 3, False)})
    clock.known(("", "image_to_text"), 0.1)
    assert clock.left() == pytest.approx(10 * 10 * 0.1 + COMPILE_S)


def test_costs_and_sums():
    assert guessed_cost(False, 3, False) == 1
    assert guessed_cost(False, 3, True) == 2
    assert guessed_cost(True, 3, True) == 20
    assert total_queries([(NONE, 3), (TENT, 4), (NONE, 5)]) == {NONE: 8, TENT: 4}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (3560, "59 min"), (5130, "1 h 26 min")],
)
def test_how_it_is_said(seconds, text):
    assert spoken(seconds) == text
