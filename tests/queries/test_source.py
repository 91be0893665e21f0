"""Queries of our own corruptions and of published ones, by position."""

import numpy as np
import pytest

from reex_jax.corruptions.image.kinds import corrupt_image
from reex_jax.corruptions.text.kinds import corrupt_text
from reex_jax.datasets.karpathy import load_karpathy
from reex_jax.datasets.load import load_data
from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError
from reex_jax.queries.source import query_source
from reex_jax.queries.streams import Stream
from reex_jax.settings.data import Data


@pytest.fixture(scope="module")
def scenes():
    return load_scenes(6), query_source(Data(), load_scenes(6), [])


def test_queries_are_those_of_the_corruptions(scenes):
    """Each by its id, so that order and neighbours change nothing."""
    data, query = scenes
    for position in (4, 1):
        clean = np.asarray(data.images[position])
        expected = corrupt_image(
            clean, "gaussian_noise", 3, item_id=data.image_ids[position], seed=7
        )
        made = query(Stream("image_to_text", "gaussian_noise", 3, 7), position)
        np.testing.assert_array_equal(np.asarray(made), expected)
        assert not np.array_equal(expected, clean)
    for position in (20, 3):
        caption, identity = data.captions[position], data.caption_ids[position]
        made = query(Stream("text_to_image", "keyboard", 4, 7), position)
        assert made == corrupt_text(caption, "keyboard", 4, item_id=identity, seed=7) != caption


def test_clean_queries_are_left_alone(scenes):
    data, query = scenes
    made = query(Stream("image_to_text", "clean", 0, 5), 2)
    np.testing.assert_array_equal(np.asarray(made), np.asarray(data.images[2]))
    assert query(Stream("text_to_image", "clean", 0, 5), 9) == data.captions[9]


def test_image_files_of_any_mode_are_corrupted_as_rgb(tiny_coco, tmp_path):
    settings = Data(name="karpathy", root=str(tiny_coco), preset="coco")
    data = load_data(settings)
    query = query_source(settings, data, [Stream("image_to_text", "contrast", 5, 0)])
    for position in (0, 1):
        made = query(Stream("image_to_text", "contrast", 5, 0), position)
        assert made.mode == "RGB" and made.size == data.images[position].size


@pytest.fixture(scope="module")
def released(karpathy_script, tiny_coco, tmp_path_factory):
    return karpathy_script.make_released(tmp_path_factory.mktemp("released"), "coco")


STREAMS = (
    Stream("image_to_text", "clean", 0, 0),
    Stream("image_to_text", "fog", 5, 0),
    Stream("text_to_image", "ocr", 7, 0),
)


def source(tiny_coco, streams=STREAMS, **changes):
    settings = Data(name="karpathy", root=str(tiny_coco), preset="coco", **changes)
    data = load_karpathy(tiny_coco, preset="coco")
    return data, query_source(settings, data, streams)


def test_released_queries_come_from_the_files(tiny_coco, released):
    data, query = source(tiny_coco, released_images=str(released), released_captions=str(released))
    fog = np.asarray(query(Stream("image_to_text", "fog", 5, 0), 1), int)
    clean = np.asarray(query(Stream("image_to_text", "clean", 0, 0), 1), int)
    assert np.abs(fog - (255 - clean)).mean() < 12  # this tiny set's fog is the negative, as JPEG
    assert query(Stream("text_to_image", "ocr", 7, 0), 8) == data.captions[8].upper()
    assert query(Stream("text_to_image", "clean", 0, 0), 8) == data.captions[8]


def test_the_modality_that_was_not_released_gets_our_own(tiny_coco, released):
    contrast, ocr = Stream("image_to_text", "contrast", 5, 0), Stream("text_to_image", "ocr", 7, 0)
    data, query = source(tiny_coco, [contrast, ocr], released_captions=str(released))
    made = query(contrast, 1)
    clean = np.asarray(data.images[1])
    expected = corrupt_image(clean, "contrast", 5, item_id=data.image_ids[1], seed=0)
    np.testing.assert_array_equal(np.asarray(made), expected)
    assert query(ocr, 0) == data.captions[0].upper()


def test_missing_files_are_refused_before_any_work(tiny_coco, released):
    with pytest.raises(UserError, match=r"COCO_IP_snow_5: not found.*set data\.released_images"):
        source(tiny_coco, [Stream("image_to_text", "snow", 5, 0)], released_images=str(released))
