"""Prepared queries give the embeddings that `Clip.encode_*` gives, through the pipeline too."""

import dataclasses

import numpy as np
import pytest

from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError
from reex_jax.models.clip.api import load_clip
from reex_jax.queries.own import own_query
from reex_jax.queries.pipeline import prepared_batches
from reex_jax.queries.prepare import query_preparation
from reex_jax.queries.streams import Stream

COUNT = 6


@pytest.fixture(scope="module")
def clip():
    return load_clip(batch_size=8)


def batches(clip, data, direction, corruption, count, **settings):
    prepare, stack = query_preparation(clip, direction, **settings)

    def made(position):
        return prepare(own_query(data, Stream(direction, corruption, 5, 0), position))

    items = range(count)
    return list(prepared_batches(items, made, batch_size=4, workers=2, stack=stack))


def test_pictures_become_the_pixels_that_the_model_embeds(clip):
    data = load_scenes(COUNT)
    made = batches(clip, data, "image_to_text", "gaussian_noise", COUNT)
    pixels = np.concatenate([batch.inputs[batch.mask] for batch in made])
    assert pixels.shape == (COUNT, 48, 48, 3) and pixels.dtype == np.uint8
    images = [
        own_query(data, Stream("image_to_text", "gaussian_noise", 5, 0), i) for i in range(COUNT)
    ]
    expected = clip.encode_images(images)
    np.testing.assert_allclose(clip.encode_pixels(clip.normalised(pixels)), expected, atol=1e-6)


def test_captions_become_the_ids_that_the_model_embeds(clip):
    data = load_scenes(COUNT)
    captions = [own_query(data, Stream("text_to_image", "swap", 5, 0), i) for i in range(COUNT)]
    made = batches(clip, data, "text_to_image", "swap", COUNT)
    for start, batch in zip((0, 4), made, strict=True):
        assert batch.inputs.dtype == np.int32 and batch.inputs.shape[1] in clip.tokenizer.lengths
        expected = clip.tokenizer(captions[start : start + 4]).ids
        np.testing.assert_array_equal(batch.inputs[batch.mask], expected)
    made = batches(clip, data, "text_to_image", "swap", COUNT, one_length=True)
    assert {batch.inputs.shape for batch in made} == {(4, clip.tokenizer.max_length)}


def test_a_checkpoint_that_cannot_is_refused(clip):
    with pytest.raises(UserError, match=r"takes 3 channels, "):
        query_preparation(dataclasses.replace(clip, preprocessing=None), "image_to_text")
    with pytest.raises(UserError, match=r"holds no tokenizer; add tokenizer\.json, or vocab\.json"):
        query_preparation(dataclasses.replace(clip, tokenizer=None), "text_to_image")


def test_an_empty_caption_is_named_by_its_position(clip):
    prepare, stack = query_preparation(clip, "text_to_image")
    made = prepared_batches(
        ["a cat", " "],
        prepare,
        batch_size=2,
        workers=1,
        stack=stack,
        name=lambda caption: f"caption {caption!r}",
    )
    with pytest.raises(UserError, match="caption ' ': caption 0 is empty or only white space"):
        next(made)
