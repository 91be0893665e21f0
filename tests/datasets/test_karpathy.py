"""COCO's and Flickr30K's layouts: both JSON shapes, and every fault by name."""

import json
import logging

import numpy as np
import pytest

from reex_jax.datasets.folder import load_folder
from reex_jax.datasets.karpathy import load_karpathy
from reex_jax.errors import UserError
from reex_jax.settings.presets import PRESETS


@pytest.fixture
def coco(karpathy_script, tmp_path):
    """A folder of three test images that a test may break."""
    return karpathy_script.make_karpathy(tmp_path / "coco", "coco", count=4)


def edit(path, change):
    """Rewrites a JSON file by `change`, a function of its content."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content) or content))


def refusal(root, **settings):
    with pytest.raises(UserError) as error:
        load_karpathy(root, **{"preset": "coco"} | settings)
    return str(error.value)


@pytest.mark.parametrize("preset", ["coco", "flickr30k"])
def test_both_shapes_give_the_same_set(karpathy_script, tmp_path, preset):
    root = karpathy_script.make_karpathy(tmp_path / preset, preset)
    _, pattern, original, listed = karpathy_script.LAYOUTS[preset]
    data = load_karpathy(root, preset=preset)  # finds the original first
    again = load_karpathy(root, preset=preset, captions_file=listed)
    assert original in data.source and listed in again.source
    for field in ("image_ids", "captions", "caption_ids", "name", "licence"):
        assert getattr(data, field) == getattr(again, field)
    np.testing.assert_array_equal(data.caption_image, again.caption_image)
    assert data.name == preset and data.licence == PRESETS[preset].licence
    assert len(data.image_ids) == 20
    assert data.image_ids[1] == pattern.format(1007) + ".png"
    assert data.caption_ids[7] == data.image_ids[1] + "#2"
    assert data.captions[5:10] == tuple(karpathy_script.captions_of(1))
    assert data.caption_image.tolist() == [i for i in range(20) for _ in range(5)]
    assert data.images[1].size == karpathy_script.picture(1).size == (75, 83)
    np.testing.assert_array_equal(np.asarray(data.images[1]), karpathy_script.picture(1))


def test_only_the_first_five_captions_count(tiny_coco, karpathy_script):
    data = load_karpathy(tiny_coco, preset="coco")
    assert len(karpathy_script.captions_of(3)) == 7
    assert [data.captions[i] for i in data.captions_of(3)] == karpathy_script.captions_of(3)[:5]


def test_the_split_chooses(tiny_coco):
    data = load_karpathy(tiny_coco, preset="coco", split="val")
    assert len(data.image_ids) == 3
    assert not set(data.image_ids) & set(load_karpathy(tiny_coco, preset="coco").image_ids)


def test_only_the_first_images(tiny_coco):
    data = load_karpathy(tiny_coco, preset="coco", max_images=3)
    assert data.image_ids == load_karpathy(tiny_coco, preset="coco").image_ids[:3]


def test_images_are_found_where_they_usually_lie(coco):
    expected = load_karpathy(coco, preset="coco").image_ids
    (coco / "images").mkdir()
    (coco / "val2014").rename(coco / "images" / "val2014")
    assert load_karpathy(coco, preset="coco").image_ids == expected
    (coco / "images" / "val2014").rename(coco / "coco-images-test")
    assert load_karpathy(coco, preset="coco").image_ids == expected
    (coco / "coco-images-test").rename(coco / "elsewhere")
    assert load_karpathy(coco, preset="coco", images="elsewhere").image_ids == expected


def test_other_data_in_this_shape(coco):
    data = load_karpathy(coco, captions_file="dataset_coco.json")
    assert data.name == "coco" and data.licence == "that of the user's data"
    assert data.image_ids == load_karpathy(coco, preset="coco").image_ids
    message = refusal(coco, preset="")
    assert message == (
        "data.captions_file is empty; name the JSON file of the captions, or set data.preset to "
        "one of coco, flickr30k"
    )


def test_a_set_of_another_size_is_told(tiny_coco, caplog):
    with caplog.at_level(logging.WARNING):
        load_karpathy(tiny_coco, preset="coco")
    assert "20 images, but the test split of COCO has 5000; do not compare" in caplog.text


def test_moved_data_is_explained(coco):
    message = refusal(coco.parent / "gone")
    assert message.startswith(f"{coco.parent / 'gone'}: no such folder; if the data was moved, ")
    assert "set data.root to its new place; COCO is to be had here: images: https://coco" in message
    message = refusal(coco, captions_file="no.json")
    assert message.startswith(f"{coco / 'no.json'}: no such captions file; if the data was moved")
    message = refusal(coco, preset="flickr30k")
    assert message.startswith(
        f"{coco}: no captions of Flickr30K, split 'test'; looked for dataset_flickr30k.json, "
    )
    assert "https://shannon.cs.illinois.edu/DenotationGraph/" in message
    (coco / "val2014").rename(coco / "hidden")
    message = refusal(coco)
    assert message.startswith(f"{coco}: no image of the 4 was found; looked for {coco}/val2014/CO")
    assert "set data.root or data.images to its new place; COCO is to be had here" in message


def test_a_missing_image_is_named(coco, caplog):
    name = "COCO_val2014_000000001007.png"
    (coco / "val2014" / name).unlink()
    message = refusal(coco)
    assert message.startswith(
        f"{coco}: 1 faulty item:\n  {name}: {coco / 'val2014' / name}: no such image file"
    )
    assert "set data.on_error=skip" in message and "https://cocodataset.org" in message
    data = load_karpathy(coco, preset="coco", on_error="skip")
    assert len(data.image_ids) == 3 and name not in data.image_ids
    assert "left out 1 faulty item" in caplog.text


def test_a_split_without_rows(coco):
    message = refusal(coco, split="train")
    assert message == (
        f"{coco / 'dataset_coco.json'}: no image of split 'train'; its splits: test (4), val (3); "
        "set data.split"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c["images"][1].update(filename=c["images"][0]["filename"]),
            "dataset_coco.json image 2: COCO_val2014_000000001000.jpg is also the image of "
            "dataset_coco.json image 1; keep one",
        ),
        (
            lambda c: c["images"][1].pop("filename"),
            "dataset_coco.json image 2: a caption without an image: no 'filename'",
        ),
        (
            lambda c: c["images"][1].update(sentences=[]),
            "image 2: image 'COCO_val2014_000000001007.png' has no 'sentences'",
        ),
        (
            lambda c: c["images"][1]["sentences"][2].update(raw=" "),
            "dataset_coco.json image 2, caption 3: the caption is empty",
        ),
        (
            lambda c: c["images"][1]["sentences"].__setitem__(0, "text"),
            "image 2, caption 1: the caption is no text but None",
        ),
        (
            lambda c: c["images"][1].update(filepath="../../etc"),
            "image 2: image '../../etc/COCO_val2014_000000001007.png' lies outside the data folder",
        ),
        (lambda c: c["images"][1].pop("split"), "image 2: no 'split'; expected"),
        (lambda c: c["images"].__setitem__(1, 7), "image 2: no 'split'; expected"),
    ],
)
def test_a_faulty_entry_is_named(coco, change, message, caplog):
    edit(coco / "dataset_coco.json", lambda content: change(content) and None)
    assert message in refusal(coco)
    load_karpathy(coco, preset="coco", on_error="skip")
    assert message in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[1].pop("image"), "entry 2: a caption without an image: no 'image'"),
        (lambda rows: rows[1].pop("caption"), "png' has no 'caption'"),
        (lambda rows: rows[1].update(caption=[]), "png' has no 'caption'"),
        (lambda rows: rows.append(rows[0]), "entry 5: COCO_val2014_000000001000.jpg is also the"),
        (lambda rows: rows.__setitem__(1, "x"), "entry 2: expected"),
    ],
)
def test_a_faulty_entry_of_a_list_is_named(coco, change, message):
    edit(coco / "coco_karpathy_test.json", lambda rows: change(rows) and None)
    assert message in refusal(coco, captions_file="coco_karpathy_test.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "the list is empty; expected"),
        ('{"annotations": []}', 'expected {"images"'),
        ('{"images": []}', "no image of split 'test'; its splits: none"),
    ],
)
def test_a_file_of_another_shape(coco, content, message):
    (coco / "dataset_coco.json").write_text(content)
    assert refusal(coco).startswith(f"{coco / 'dataset_coco.json'}: {message}")
    (coco / "dataset_coco.json").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in refusal(coco)


def test_nothing_left_and_unknown_names(coco):
    for path in (coco / "val2014").iterdir():
        path.write_bytes(b"")
    assert "no usable image with a caption (4 faulty items; " in refusal(coco, on_error="skip")
    assert "unknown data.preset 'cocoa'; did you mean 'coco'?" in refusal(coco, preset="cocoa")
    assert "unknown data.on_error" in refusal(coco, on_error="ignore")


def test_the_folder_loader_takes_the_first_images_too(tiny_coco):
    data = load_folder(tiny_coco, "coco_karpathy_test.json", max_images=2).data
    assert len(data.image_ids) == 2 and len(data.captions) == 10
