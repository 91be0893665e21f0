"""Which streams there are, in which passes they are seen, and in which order queries come."""

import numpy as np
import pytest

from reex_jax.queries.streams import (
    Pass,
    Stream,
    chosen_queries,
    list_passes,
    list_streams,
    query_order,
)
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.experiment import Experiment


def test_streams_run_by_direction_then_seed_then_corruption():
    corruptions = Corruptions(image=("contrast", "pixelate"), text=("swap",), severities=(1, 5))
    experiment = Experiment(corruptions=corruptions, seeds=(3, 0))
    expected = []
    for seed in (3, 0):
        expected += [
            Stream("image_to_text", "clean", 0, seed),
            Stream("image_to_text", "contrast", 1, seed),
            Stream("image_to_text", "contrast", 5, seed),
            Stream("image_to_text", "pixelate", 1, seed),
            Stream("image_to_text", "pixelate", 5, seed),
        ]
    for seed in (3, 0):
        expected += [
            Stream("text_to_image", "clean", 0, seed),
            Stream("text_to_image", "swap", 1, seed),
            Stream("text_to_image", "swap", 5, seed),
        ]
    assert list_streams(experiment) == expected


def test_streams_without_clean_queries_and_of_one_direction():
    corruptions = Corruptions(clean=False, image=("contrast",), text=("delete",))
    experiment = Experiment(directions=("text_to_image",), corruptions=corruptions)
    assert list_streams(experiment) == [Stream("text_to_image", "delete", 5, 0)]


def test_sentence_kinds_run_once_beside_the_severities_of_others():
    corruptions = Corruptions(
        clean=False, text=("delete", "formal"), sentences="s.jsonl", severities=(3, 5)
    )
    experiment = Experiment(directions=("text_to_image",), corruptions=corruptions)
    streams = [("delete", 3), ("delete", 5), ("formal", 1)]
    assert list_streams(experiment) == [Stream("text_to_image", *one, 0) for one in streams]


def test_a_stream_says_what_it_is():
    assert str(Stream("image_to_text", "clean", 0, 1)) == "image_to_text clean (seed 1)"
    assert str(Stream("text_to_image", "swap", 5, 0)) == "text_to_image swap 5 (seed 0)"


CLEAN, FOG, SNOW = (Stream("image_to_text", name, 5, 0) for name in ("clean", "fog", "snow"))


def test_a_pass_says_what_it_is():
    assert str(Pass((FOG,))) == "image_to_text fog 5 (seed 0)"
    assert str(Pass((FOG, SNOW))) == "image_to_text 2 corruptions mixed (seed 0)"
    assert Pass((FOG, SNOW)).direction == "image_to_text"


def streams_of_two_seeds():
    corruptions = Corruptions(image=("fog", "snow"), text=("swap",))
    return list_streams(Experiment(corruptions=corruptions, seeds=(0, 1)))


def test_reset_starts_every_stream_from_the_source_model():
    streams = streams_of_two_seeds()
    assert list_passes(streams, "reset") == [Pass((stream,)) for stream in streams]


def test_continual_carries_over_from_corruption_to_corruption_of_one_seed():
    streams = streams_of_two_seeds()
    passes = list_passes(streams, "continual")
    assert [one.streams for one in passes] == [(stream,) for stream in streams]
    assert [one.streams[0] for one in passes if one.carries_over] == [
        Stream("image_to_text", "snow", 5, 0),
        Stream("image_to_text", "snow", 5, 1),
    ]


def test_mixed_puts_all_corruptions_of_a_seed_together_and_clean_apart():
    passes = list_passes(streams_of_two_seeds(), "mixed")
    expected = []
    for direction, kinds in (("image_to_text", ("fog", "snow")), ("text_to_image", ("swap",))):
        for seed in (0, 1):
            expected.append(Pass((Stream(direction, "clean", 0, seed),)))
            expected.append(Pass(tuple(Stream(direction, kind, 5, seed) for kind in kinds)))
    assert passes == expected


def test_all_queries_are_asked_or_a_choice_that_no_seed_changes():
    assert chosen_queries(7, 0).tolist() == list(range(7))
    assert chosen_queries(7, 7).tolist() == chosen_queries(7, 8).tolist() == list(range(7))
    chosen = chosen_queries(1000, 10)
    assert len(set(chosen.tolist())) == 10 and chosen.tolist() == sorted(chosen)
    assert chosen.tolist() == chosen_queries(1000, 10).tolist()
    assert chosen.max() > 100  # not the first ones
    # A longer stream of the same data repeats the shorter one's queries.
    assert set(chosen.tolist()) < set(chosen_queries(1000, 20).tolist())


def positions_of(one, positions):
    order = query_order(one, positions)
    assert {stream for stream, _ in order} == set(one.streams)
    return [position for _, position in order]


def test_the_order_depends_on_the_seed_alone():
    positions = np.arange(30)
    clean = positions_of(Pass((CLEAN,)), positions)
    assert sorted(clean) == list(range(30)) != clean
    assert clean == positions_of(Pass((FOG,)), positions)
    assert clean == np.random.default_rng(0).permutation(30).tolist()
    assert clean != positions_of(Pass((Stream("image_to_text", "fog", 5, 1),)), positions)


def test_the_order_has_the_chosen_queries_alone():
    positions = np.array([3, 7, 20])
    assert sorted(positions_of(Pass((FOG,)), positions)) == [3, 7, 20]


@pytest.mark.parametrize("seed", range(5))
def test_every_batch_of_a_mixed_pass_draws_from_all_corruptions(seed):
    names = ("fog", "snow", "frost", "contrast")
    one = Pass(tuple(Stream("image_to_text", name, 5, seed) for name in names))
    positions = np.arange(10, 202)
    order = query_order(one, positions)
    for start in range(0, len(order), 64):
        assert {stream for stream, _ in order[start : start + 64]} == set(one.streams)
    counted = sorted((stream.corruption, position) for stream, position in order)
    assert counted == sorted((name, int(p)) for name in names for p in positions)
