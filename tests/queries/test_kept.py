"""Prepared images are made once a run, as far as they fit."""

import numpy as np

from reex_jax.queries.kept import KeptPixels
from reex_jax.queries.streams import Stream

NOISE, BLUR = (Stream("image_to_text", kind, 5, 0) for kind in ("gaussian_noise", "motion_blur"))


def asker(kept):
    made = []

    def ask(stream, position):
        def make():
            made.append((stream, position))
            return np.full(10, len(made), np.uint8)

        return kept(stream, position, make)[0]

    return ask, made


def test_the_second_method_gets_what_the_first_made():
    ask, made = asker(KeptPixels(100))
    for _ in range(2):
        assert [ask(NOISE, 0), ask(NOISE, 1), ask(BLUR, 0)] == [1, 2, 3]
    assert made == [(NOISE, 0), (NOISE, 1), (BLUR, 0)]


def test_what_came_first_stays_and_the_rest_is_made_again():
    ask, made = asker(KeptPixels(25))
    assert [ask(NOISE, i) for i in range(3)] == [1, 2, 3]
    assert [ask(NOISE, i) for i in range(3)] == [1, 2, 4]
    ask, made = asker(KeptPixels(0))
    ask(NOISE, 0), ask(NOISE, 0)
    assert len(made) == 2
