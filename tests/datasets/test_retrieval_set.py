import dataclasses

import numpy as np
import pytest
from PIL import Image

from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.errors import UserError
from reex_jax.settings.choices import DIRECTIONS

PICTURE = Image.new("RGB", (4, 4))


def small_set(**changes):
    """Three images; the captions of "b" stand on both sides of that of "a"."""
    fields = {
        "name": "pets",
        "image_ids": ("a", "b", "c"),
        "images": [PICTURE] * 3,
        "captions": ("a black cat", "a dog", "a bird", "one dog", "the dog"),
        "caption_ids": ("b#0", "a#0", "c#0", "b#1", "a#1"),
        "caption_image": np.array([1, 0, 2, 1, 0], np.int32),
        "source": "drawn",
        "licence": "CC0-1.0",
    }
    return RetrievalSet(**{**fields, **changes})


def test_captions_of_an_image():
    captions = small_set().captions_of(1)
    assert captions.dtype == np.int32
    assert captions.tolist() == [0, 3]


def test_captions_of_an_image_that_is_not_there():
    with pytest.raises(UserError, match="pets: no image 3; it has 3"):
        small_set().captions_of(3)


def test_answers_are_padded():
    data = small_set()
    answers = data.answers("image_to_text")
    assert answers.dtype == np.int32
    assert answers.tolist() == [[1, 4], [0, 3], [2, -1]]
    answers = data.answers("text_to_image")
    assert answers.dtype == np.int32
    assert answers.tolist() == [[1], [0], [2], [1], [0]]


def test_answers_equal_a_loop():
    rng = np.random.default_rng(0)
    owner = np.concatenate([np.arange(40), rng.integers(0, 40, 200)]).astype(np.int32)
    rng.shuffle(owner)
    data = small_set(
        image_ids=tuple(map(str, range(40))),
        images=[PICTURE] * 40,
        captions=("text",) * 240,
        caption_ids=tuple(map(str, range(240))),
        caption_image=owner,
    )
    for image, row in enumerate(data.answers("image_to_text")):
        assert row[row >= 0].tolist() == [i for i in range(240) if owner[i] == image]
        assert row[row >= 0].tolist() == data.captions_of(image).tolist()


def test_sizes_by_direction():
    data = small_set()
    assert [data.num_queries(direction) for direction in DIRECTIONS] == [3, 5]
    assert [data.gallery_size(direction) for direction in DIRECTIONS] == [5, 3]


@pytest.mark.parametrize("method", ["answers", "num_queries", "gallery_size"])
def test_unknown_direction(method):
    with pytest.raises(UserError) as error:
        getattr(small_set(), method)("image_to_test")
    assert str(error.value) == (
        "unknown direction 'image_to_test'; did you mean 'image_to_text'? "
        "allowed: image_to_text, text_to_image"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"image_ids": (), "images": []},
            "pets: the set is empty (0 images, 5 captions); give at least one image with one "
            "caption",
        ),
        (
            {"images": [PICTURE] * 2},
            "pets: image_ids has 3 entries and images has 2; they must be as many",
        ),
        (
            {"caption_ids": ("b#0",)},
            "pets: captions has 5 entries and caption_ids has 1; they must be as many",
        ),
        (
            {"image_ids": ("a", "b", "a")},
            "pets: image ids given twice: 'a'; make each id unique",
        ),
        (
            {"caption_ids": ("x", "y", "x", "y", "z")},
            "pets: caption ids given twice: 'x', 'y'; make each id unique",
        ),
        (
            {"captions": ("a black cat", "", "a bird", None, " \t")},
            "pets: captions that are empty or not a string: 'a#0', 'b#1', 'a#1'; "
            "mend or leave out these captions",
        ),
        (
            {"caption_image": np.array([1, 0, 3, 1, -1], np.int32)},
            "pets: captions without an image: 'c#0', 'a#1'; caption_image must lie in 0..2",
        ),
        (
            {"caption_image": np.array([1, 1, 1, 1, 1], np.int32)},
            "pets: images without a caption: 'a', 'c'; add a caption or leave them out",
        ),
        (
            {"caption_image": np.array([1, 0, 2, 1, 0])},
            "pets: caption_image must be an int32 array, not int64",
        ),
        (
            {"caption_image": [1, 0, 2, 1, 0]},
            "pets: caption_image must be an int32 array, not list",
        ),
        (
            {"caption_image": np.zeros((5, 1), np.int32)},
            "pets: caption_image has shape (5, 1) for 5 captions; it needs one entry per caption",
        ),
    ],
)
def test_sets_that_are_wrong(changes, message):
    with pytest.raises(UserError) as error:
        small_set(**changes)
    assert str(error.value) == message


def test_only_some_of_many_ids_are_named():
    ids = tuple(map(str, range(8)))
    with pytest.raises(UserError, match="'0', '1', '2', '3', '4' and 2 more; add a caption"):
        small_set(
            image_ids=ids,
            images=[PICTURE] * 8,
            caption_image=np.full(5, 7, np.int32),
        )


def test_a_set_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        small_set().name = "other"


def test_images_are_not_loaded_by_the_checks():
    class Unread:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            raise AssertionError("loaded")

    data = small_set(images=Unread())
    data.answers("image_to_text")
    assert data.images is not None
