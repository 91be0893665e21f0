"""Which queries a stream has: order, coverage, corruption."""

import numpy as np
import pytest

from reex_jax.benchmark.streams import Stream, corrupted_queries, list_streams, query_batches
from reex_jax.config import default_config
from reex_jax.corruptions.image import corrupt_image
from reex_jax.corruptions.text import corrupt_text
from reex_jax.datasets.scenes import load_scenes


@pytest.fixture(scope="module")
def data():
    return load_scenes(6)


def test_streams_run_by_direction_then_seed_then_corruption():
    config = default_config()
    config.corruptions.image = ("contrast", "pixelate")
    config.corruptions.text = ("swap",)
    config.corruptions.severities = (1, 5)
    config.seeds = (3, 0)
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
    assert list_streams(config) == expected


def test_streams_without_clean_queries_and_of_one_direction():
    config = default_config()
    config.directions = ("text_to_image",)
    config.corruptions.clean = False
    config.corruptions.image = ("contrast",)
    config.corruptions.text = ("delete",)
    assert list_streams(config) == [Stream("text_to_image", "delete", 5, 0)]


def test_a_stream_says_what_it_is():
    assert str(Stream("image_to_text", "clean", 0, 1)) == "image_to_text clean (seed 1)"
    assert str(Stream("text_to_image", "swap", 5, 0)) == "text_to_image swap 5 (seed 0)"


@pytest.mark.parametrize(("direction", "count"), [("image_to_text", 6), ("text_to_image", 30)])
@pytest.mark.parametrize("batch_size", [1, 4, 30, 100])
def test_batches_hold_every_query_once(data, direction, count, batch_size):
    stream = Stream(direction, "clean", 0, 0)
    batches = list(query_batches(data, stream, batch_size))
    positions = np.concatenate([p for p, _ in batches])
    assert sorted(positions.tolist()) == list(range(count))
    sizes = [len(queries) for _, queries in batches]
    assert sizes == [len(p) for p, _ in batches]
    assert all(size == batch_size for size in sizes[:-1]) and 0 < sizes[-1] <= batch_size


def test_the_order_depends_on_the_seed_alone(data):
    def order(corruption, seed, batch_size=4):
        stream = Stream("text_to_image", corruption, 5 if corruption != "clean" else 0, seed)
        return [int(p) for batch, _ in query_batches(data, stream, batch_size) for p in batch]

    assert order("clean", 0) == order("swap", 0) == order("clean", 0, batch_size=7)
    assert order("clean", 0) != list(range(30))
    assert order("clean", 0) != order("clean", 1)


def test_queries_are_those_of_the_corruptions(data):
    """Each by its id, whatever the order; so a batch's queries equal those made alone."""
    stream = Stream("image_to_text", "gaussian_noise", 3, 7)
    for position, query in zip([4, 1], corrupted_queries(data, stream, [4, 1]), strict=True):
        clean = np.asarray(data.images[position])
        expected = corrupt_image(
            clean, "gaussian_noise", 3, item_id=data.image_ids[position], seed=7
        )
        np.testing.assert_array_equal(np.asarray(query), expected)
        assert not np.array_equal(expected, clean)
    stream = Stream("text_to_image", "keyboard", 4, 7)
    queries = corrupted_queries(data, stream, [20, 3])
    for position, query in zip([20, 3], queries, strict=True):
        identity = data.caption_ids[position]
        assert query == corrupt_text(
            data.captions[position], "keyboard", 4, item_id=identity, seed=7
        )
    assert queries != [data.captions[20], data.captions[3]]


def test_clean_queries_are_left_alone(data):
    images = corrupted_queries(data, Stream("image_to_text", "clean", 0, 5), [2, 0])
    np.testing.assert_array_equal(np.asarray(images[0]), np.asarray(data.images[2]))
    np.testing.assert_array_equal(np.asarray(images[1]), np.asarray(data.images[0]))
    texts = corrupted_queries(data, Stream("text_to_image", "clean", 0, 5), [9, 2])
    assert texts == [data.captions[9], data.captions[2]]


def test_batches_carry_the_queries_of_their_positions(data):
    stream = Stream("text_to_image", "delete", 5, 2)
    for positions, queries in query_batches(data, stream, 8):
        assert queries == corrupted_queries(data, stream, positions.tolist())
