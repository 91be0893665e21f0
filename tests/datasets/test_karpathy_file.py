"""The shapes of captions files beside Karpathy's own: COCO's, and BLIP's of the training split."""

import json
import unicodedata

import numpy as np
import pytest
from PIL import Image

from reex_jax.datasets.karpathy import load_karpathy
from reex_jax.datasets.karpathy_file import read_karpathy
from reex_jax.errors import UserError

OFFICIAL = {
    "info": {},
    "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
    "annotations": [
        {"id": 7, "image_id": 2, "caption": "a cat"},
        {"id": 8, "image_id": 1, "caption": "a dog"},
        {"id": 9, "image_id": 1, "caption": "one dog"},
    ],
}


def write(folder, content, name="captions.json"):
    (folder / name).write_text(json.dumps(content))
    return folder / name


def draw(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (9, 9, 9)).save(path)


def test_cocos_own_file_is_read(tmp_path):
    draw(tmp_path / "val2014" / "a.jpg")
    draw(tmp_path / "val2014" / "b.jpg")
    write(tmp_path, OFFICIAL, "captions_val2014.json")
    data = load_karpathy(tmp_path, captions_file="captions_val2014.json", images="val2014")
    assert data.image_ids == ("a.jpg", "b.jpg")
    assert data.captions == ("a dog", "one dog", "a cat")
    assert data.caption_ids == ("a.jpg#0", "a.jpg#1", "b.jpg#0")
    assert data.caption_image.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"annotations": OFFICIAL["annotations"][1:]}, "image 2: image 'b.jpg' has no caption of"),
        ({"images": OFFICIAL["images"][:1]}, "annotation 1: no image has its 'image_id'"),
        ({"images": [*OFFICIAL["images"], 3]}, 'image 3: expected {"id": 42, "file_name"'),
        (
            {"annotations": [*OFFICIAL["annotations"], {"caption": "x"}]},
            "annotation 4: no 'image_id'; expected",
        ),
        (
            {"annotations": [*OFFICIAL["annotations"], {"image_id": 1, "caption": " "}]},
            "annotation 4: the caption is empty",
        ),
    ],
)
def test_faults_of_cocos_own_file(tmp_path, change, fault):
    _, faults = read_karpathy(write(tmp_path, OFFICIAL | change), "test")
    assert f"captions.json {fault}" in [
        f"{one.id}: {one.reason}"[: 14 + len(fault)] for one in faults
    ]


def test_cocos_other_files_are_named(tmp_path):
    boxes = OFFICIAL | {"annotations": [{"image_id": 1, "bbox": [0, 0, 1, 1]}]}
    with pytest.raises(UserError, match=r"have no 'caption'; take the file captions_\*\.json"):
        read_karpathy(write(tmp_path, boxes), "test")
    with pytest.raises(UserError, match="in COCO's layout, but without captions"):
        read_karpathy(write(tmp_path, {"images": OFFICIAL["images"]}), "test")


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_rows_of_one_image_are_joined(tmp_path, on_error):
    rows = []
    for number in range(6):  # benchmarks count the first five
        for name in ("a", "b"):
            rows.append({"image": f"train/{name}.jpg", "caption": f"{name} number {number}"})
            draw(tmp_path / rows[-1]["image"])
    write(tmp_path, rows)
    data = load_karpathy(tmp_path, captions_file="captions.json", on_error=on_error)
    assert data.image_ids == ("a.jpg", "b.jpg")
    assert [len(data.captions_of(i)) for i in range(2)] == [5, 5]
    assert data.captions[:2] == ("a number 0", "a number 1")
    assert data.caption_ids[5:7] == ("b.jpg#0", "b.jpg#1")


def test_files_of_one_name_in_two_folders_are_two_images(tmp_path):
    names = ["one/a.jpg", "two/a.jpg", "two/b.jpg"]
    for name in names:
        draw(tmp_path / name)
    write(tmp_path, [{"image": name, "caption": [f"of {name}"]} for name in names])
    data = load_karpathy(tmp_path, captions_file="captions.json")
    assert data.image_ids == ("one/a.jpg", "two/a.jpg", "b.jpg")
    assert [path.relative_to(tmp_path).as_posix() for path in data.images.paths] == names


def test_other_spellings_of_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    draw(tmp_path / "data" / "img" / unicodedata.normalize("NFD", "é.jpg"))
    name = unicodedata.normalize("NFC", "img\\é.jpg")
    write(tmp_path / "data", [{"image": name, "caption": ["a dog"]}])
    data = load_karpathy("~/data", captions_file="~/data/captions.json")
    assert data.image_ids == (unicodedata.normalize("NFC", "é.jpg"),)
    assert np.asarray(data.images[0]).shape == (6, 8, 3)
