"""Published corruptions are found by id, and what is missing is named before any work."""

import json

import numpy as np
import pytest
from PIL import ImageOps

from reex_jax.corruptions.text.sentence_prompts import SENTENCE_KINDS
from reex_jax.datasets.karpathy import load_karpathy
from reex_jax.datasets.released import CAPTION_FOLDERS, OTHER_FOLDERS, open_released
from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError

FOG = ("image_to_text", "fog", 5)
OCR = ("text_to_image", "ocr", 7)
CLEAN = ("image_to_text", "clean", 0)


@pytest.fixture(scope="module", params=["coco", "flickr30k"])
def published(request, karpathy_script, tmp_path_factory):
    """A preset, its tiny data set and the folder of its corrupted queries."""
    root = tmp_path_factory.mktemp(request.param)
    karpathy_script.make_karpathy(root / "clean", request.param)
    karpathy_script.make_released(root / "released", request.param)
    return request.param, load_karpathy(root / "clean", preset=request.param), root / "released"


@pytest.fixture
def coco(karpathy_script, tmp_path):
    """The same for COCO alone, which a test may break."""
    karpathy_script.make_karpathy(tmp_path / "clean", "coco", count=4)
    karpathy_script.make_released(tmp_path / "released", "coco", count=4)
    return load_karpathy(tmp_path / "clean", preset="coco"), tmp_path / "released"


def opened(data, root, *wanted, preset="coco"):
    return open_released(data, wanted, preset=preset, images_root=root, captions_root=root)


def refusal(data, root, *wanted, **settings):
    with pytest.raises(UserError) as error:
        opened(data, root, *wanted, **settings)
    return str(error.value)


def test_queries_come_from_the_files(published, karpathy_script):
    preset, data, root = published
    released = opened(data, root, FOG, OCR, FOG, CLEAN, preset=preset)
    for index in (0, 1, 19):  # JPEG files, for the PNG image 1 too
        image = np.asarray(released.image("fog", 5, data.image_ids[index]), int)
        expected = np.asarray(ImageOps.invert(karpathy_script.picture(index)), int)
        assert image.shape == expected.shape
        assert np.abs(image - expected).mean() < 12  # JPEG; the clean picture is far off
        assert np.abs(image - (255 - expected)).mean() > 40
    texts = [released.caption("ocr", 7, identity) for identity in data.caption_ids]
    assert texts == [caption.upper() for caption in data.captions]


def test_only_what_is_wanted_is_looked_for(coco):
    data, root = coco
    released = open_released(data, [FOG, OCR], preset="coco", images_root=root)
    assert list(released.images) == [("fog", 5)] and not released.captions
    with pytest.raises(UserError, match="ocr 7 was not opened; name it when opening"):
        released.caption("ocr", 7, data.caption_ids[0])
    with pytest.raises(UserError, match=r"fog 5 has no 'b\.jpg'; ids are those of the data set"):
        released.image("fog", 5, "b.jpg")


def test_every_text_corruption_has_its_folder(karpathy_script, coco):
    data, root = coco
    kinds = set(CAPTION_FOLDERS)
    assert len(kinds) == len(set(CAPTION_FOLDERS.values())) == 16
    source = (root / "annotation_OcrAug" / "7" / "coco_karpathy_test.json").read_text()
    for folder in CAPTION_FOLDERS.values():
        (root / folder / "1").mkdir(parents=True)
        (root / folder / "1" / "coco_karpathy_test.json").write_text(source)
    released = opened(data, root, *[("text_to_image", kind, 1) for kind in kinds])
    assert {kind for kind, _ in released.captions} == kinds


def test_sentence_kinds_may_lie_in_folders_named_like_the_others(coco):
    data, root = coco
    source = (root / "annotation_OcrAug" / "7" / "coco_karpathy_test.json").read_text()

    def publish(folder, text):
        (root / folder / "1").mkdir(parents=True)
        (root / folder / "1" / "coco_karpathy_test.json").write_text(text)

    for kind, folder in OTHER_FOLDERS.items():
        publish(folder, source)
        released = opened(data, root, ("text_to_image", kind, 1))
        assert released.caption(kind, 1, data.caption_ids[3]) == data.captions[3].upper()
    assert set(OTHER_FOLDERS) == set(SENTENCE_KINDS)
    # Where both are there, the name that was published counts.
    rows = json.loads(source)
    for row in rows:  # nlpaug's lists of one text, in lower case
        row["caption"] = [[text[0].lower()] for text in row["caption"] if isinstance(text, list)]
    publish("annotation_formal", json.dumps(rows))
    released = opened(data, root, ("text_to_image", "formal", 1))
    assert released.caption("formal", 1, data.caption_ids[3]) == data.captions[3].lower()
    message = refusal(data, root, ("text_to_image", "casual", 2))
    assert (
        "annotation_CasualAug/2/coco_karpathy_test.json: not found (severities there: 1" in message
    )


def test_missing_folders_are_named(coco):
    data, root = coco
    message = refusal(data, root, ("image_to_text", "snow", 5))
    assert message.startswith(
        f"{root}/COCO_IP_snow_5: not found; if the released files were moved, set "
        "data.released_images to the folder that holds COCO_IP_snow_5/; they are to be had here: "
        "https://github.com/"
    )
    message = refusal(data, root, ("text_to_image", "ocr", 5))
    assert message.startswith(
        f"{root}/annotation_OcrAug/5/coco_karpathy_test.json: not found (severities there: 7); "
        "if the released files were moved, set data.released_captions to the folder that holds "
        "annotation_OcrAug/; they"
    )
    message = refusal(data, root, ("text_to_image", "swap", 7))
    assert "annotation_RandomCharAug_swap/7/coco_karpathy_test.json: not found; if" in message
    message = refusal(data, root, ("text_to_image", "formal", 1))
    assert "annotation_formal/1/coco_karpathy_test.json: not found; if" in message
    message = refusal(data, root, ("text_to_image", "typos", 7))
    assert message.startswith("typos was not released; corruptions.text with data.released_capt")
    assert "unknown data.preset 'cocos'" in refusal(data, root, FOG, preset="cocos")


def test_missing_items_are_named(coco):
    data, root = coco
    (root / "COCO_IP_fog_5" / "val2014" / "COCO_val2014_000000001007.jpg").unlink()
    assert refusal(data, root, FOG).startswith(
        f"{root}/COCO_IP_fog_5: 1 of 4 images are missing, the first is "
        "'COCO_val2014_000000001007.png'; fetch the folder anew from https://github.com/"
    )
    file = root / "annotation_OcrAug" / "7" / "coco_karpathy_test.json"
    rows = json.loads(file.read_text())
    rows[2]["caption"][1] = ""
    file.write_text(json.dumps(rows))
    assert refusal(data, root, OCR).startswith(
        f"{file}: 1 of 20 captions are missing, the first is 'COCO_val2014_000000001014.jpg#1' "
        "(coco_karpathy_test.json entry 3, caption 2: the caption is empty); fetch the file anew"
    )


def test_ids_of_another_set_are_not_found(coco):
    assert "20 images are missing" in refusal(load_scenes(20), coco[1], FOG).replace("of 20 ", "")
    assert "100 of 100 captions are missing" in refusal(load_scenes(20), coco[1], OCR)


def test_a_damaged_image_is_named_when_it_is_read(coco):
    data, root = coco
    path = root / "COCO_IP_fog_5" / "val2014" / "COCO_val2014_000000001000.jpg"
    path.write_bytes(path.read_bytes()[:300])
    released = opened(data, root, FOG)
    with pytest.raises(UserError, match=r"000000001000\.jpg: damaged or cut off"):
        released.image("fog", 5, data.image_ids[0])
