"""Scenes: fixed bytes, splits that do not meet, captions that tell the truth."""

import hashlib

import numpy as np
import pytest

from reex_jax.datasets import scenes
from reex_jax.datasets.scene_captions import (
    COLOUR_WORDS,
    GROUND_WORDS,
    RELATIONS,
    SHAPE_WORDS,
    SIZE_WORDS,
    TEXTURE_WORDS,
    relation_between,
)
from reex_jax.datasets.scene_drawing import draw_scene, shape_mask
from reex_jax.datasets.scene_world import SHAPES, Dice, Thing, sample_scene
from reex_jax.errors import UserError


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def test_bytes_are_the_same_on_every_machine():
    images = [scenes.image("test", 0, i).tobytes() for i in range(50)]
    captions = [c.encode() for i in range(50) for c in scenes.caption_set("test", 0, i)]
    assert digest(*images) == "71c709c21acd3482"
    assert digest(*captions) == "b29d251f517f3f65"


def test_order_does_not_matter():
    backwards = [scenes.image("test", 0, i) for i in reversed(range(5))]
    for i, image in enumerate(reversed(backwards)):
        np.testing.assert_array_equal(image, scenes.image("test", 0, i))


def test_splits_and_seeds_share_no_scene():
    def some(split: str, seed: int) -> set:
        return {digest(scenes.image(split, seed, i).tobytes()) for i in range(200)}

    groups = [some("train", 0), some("tune", 0), some("test", 0), some("test", 1)]
    assert len(set.union(*groups)) == 800


def test_test_set_has_the_promised_size():
    data = scenes.load_scenes(1000)
    assert (data.num_queries("image_to_text"), data.num_queries("text_to_image")) == (1000, 5000)
    assert data.images[999].size == (64, 64) and data.images[0].mode == "RGB"
    assert data.answers("image_to_text")[7].tolist() == [35, 36, 37, 38, 39]
    with pytest.raises(IndexError):
        data.images[1000]


def test_captions_are_varied():
    captions = scenes.load_scenes(1000).captions
    words = {word.strip(".,:") for caption in captions for word in caption.lower().split()}
    assert len(set(captions)) > 4990
    assert len(words) > 130
    assert 14 < np.mean([len(c.split()) for c in captions]) < 20


def words_of(table: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {word: key for key, words in table.items() for word in words}


def test_captions_name_only_what_is_there():
    """Whatever colour, shape, size or ground a caption names belongs to its scene."""
    shapes, sizes = words_of(SHAPE_WORDS), words_of(SIZE_WORDS)
    colours, grounds = words_of(COLOUR_WORDS), words_of(GROUND_WORDS)
    for index in range(200):
        scene = sample_scene(scenes._dice("test", 0, index, 0))
        allowed = {scene.ground_colour} | {
            value for t in scene.things for value in (t.shape, t.colour, t.size)
        }
        for caption in scenes.caption_set("test", 0, index):
            text = f" {caption.lower().rstrip('.')} ".replace(",", " ").replace(":", " ")
            for word, value in [*shapes.items(), *sizes.items()]:
                if f" {word} " in text:
                    # "plus" is both the start of "plus sign" and a word for a cross, and so on.
                    assert value in allowed, (caption, word)
            named = [v for w, v in {**colours, **grounds}.items() if f" {w} " in text]
            assert not named or any(v in allowed for v in named), caption


def test_every_world_value_has_words():
    assert set(SHAPE_WORDS) == set(SHAPES)
    assert all(len(words) >= 2 for words in TEXTURE_WORDS.values())
    assert set(RELATIONS) == {"left", "right", "above", "below"}


def test_relations_hold_in_the_picture():
    def at(x: int, y: int) -> Thing:
        return Thing("circle", "red", "solid", "small", x, y, 9, (0, 0, 0))

    assert relation_between(at(10, 30), at(40, 32)) == ("left",)
    assert relation_between(at(40, 50), at(10, 10)) == ("right", "below")
    assert relation_between(at(30, 10), at(32, 40)) == ("above",)
    assert relation_between(at(30, 30), at(33, 33)) == ()


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_whole_and_tell_themselves_apart(shape):
    mask = shape_mask(shape, 15)
    assert mask.shape == (31, 31) and mask.max() == 16
    np.testing.assert_array_equal(mask, mask[:, ::-1])  # all shapes have a vertical mirror axis
    for other in SHAPES:
        if other != shape:
            assert np.abs(mask.astype(int) - shape_mask(other, 15)).mean() > 1


def test_ring_and_circle_areas():
    """Areas against the formulas, in pixels of a 31 x 31 box that stands for +-1000."""
    scale = (31 / 2000) ** 2
    circle, ring = shape_mask("circle", 15).sum() / 16, shape_mask("ring", 15).sum() / 16
    assert circle == pytest.approx(np.pi * 900**2 * scale, rel=0.02)
    assert ring == pytest.approx(np.pi * (950**2 - 520**2) * scale, rel=0.02)


def test_dice_are_uniform_and_independent():
    dice = Dice(0, 1, 2)
    counts = np.bincount([dice.below(6) for _ in range(6000)], minlength=6)
    assert np.abs(counts - 1000).max() < 130
    first = [Dice(0, 1, 3).raw() for _ in range(2)]
    assert first[0] == first[1] != Dice(0, 2, 3).raw()


@pytest.mark.parametrize("size", [16, 48, 97])
def test_any_size_draws(size):
    image = draw_scene(sample_scene(Dice(0, 1, 2)), size)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8 and image.std() > 5


def test_impossible_requests_are_refused():
    with pytest.raises(UserError, match=r"unknown scenes split 'tset'; did you mean 'test'"):
        scenes.image("tset", 0, 0)
    with pytest.raises(UserError, match="num_images must be at least 1, not 0"):
        scenes.load_scenes(0)
    with pytest.raises(UserError, match="seed and index lie in"):
        scenes.image("test", -1, 0)
    with pytest.raises(ValueError, match="at least 16 pixels"):
        draw_scene(sample_scene(Dice(0, 1, 2)), 8)
