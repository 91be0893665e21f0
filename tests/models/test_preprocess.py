"""Preprocessing against torchvision's documented rules, written out in NumPy."""

import json

import numpy as np
import pytest
from PIL import Image

from reex_jax.errors import UserError
from reex_jax.models.preprocess import (
    CLIP_MEAN,
    CLIP_STD,
    MAX_ASPECT,
    Preprocessing,
    clean_caption_tcr,
    prepare_captions,
    preprocess_image,
    read_preprocessing,
)

CLIP = Preprocessing(224)


def picture(width, height, mode="RGB"):
    rng = np.random.default_rng(width * 10_007 + height)
    array = rng.integers(0, 256, (height, width, 4), np.uint8)
    array[: height // 2] //= 3
    if mode == "I;16":
        return Image.fromarray(array[..., 0].astype(np.uint16) * 3)
    if mode == "PA":
        return Image.fromarray(array, "RGBA").convert("PA")
    return Image.fromarray(array, "RGBA").convert(mode)


def normalised(rgb):
    """ToTensor and Normalize: [h, w, 3] uint8 -> float32, in torch's order of operations."""
    scaled = rgb.astype(np.float32) / np.float32(255)
    mean, std = (np.array(v, np.float32) for v in (CLIP_MEAN, CLIP_STD))
    return (scaled - mean) / std


def by_torchvision(image, size):
    """Resize(size, BICUBIC), CenterCrop(size), convert, ToTensor, Normalize."""
    width, height = image.size
    if width <= height:
        new = (size, int(size * height / width))
    else:
        new = (int(size * width / height), size)
    rgb = np.asarray(image.resize(new, Image.Resampling.BICUBIC).convert("RGB"))
    top = round((rgb.shape[0] - size) / 2.0)
    left = round((rgb.shape[1] - size) / 2.0)
    return normalised(rgb[top : top + size, left : left + size])


SIZES = [(333, 500), (427, 640), (640, 427), (500, 375), (2, 1000), (1000, 2), (1, 1), (224, 224),
         (225, 224), (224, 300), (7, 5), (640, 480), (1, 1000)]  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_sizes_equal_torchvisions_rule(size):
    image = picture(*size)
    result = preprocess_image(image, CLIP)
    assert result.shape == (224, 224, 3)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, by_torchvision(image, 224))


@pytest.mark.parametrize(
    ("size", "resized", "corner"),
    [
        ((427, 640), (224, 335), (0, 56)),  # 335.7 rounds down; margin 111: 55.5 goes to 56
        ((640, 427), (335, 224), (56, 0)),
        ((333, 500), (224, 336), (0, 56)),
        ((224, 277), (224, 277), (0, 26)),  # margin 53: 26.5 goes to the even 26
        ((480, 640), (224, 298), (0, 37)),
    ],
)
def test_rounding_worked_out_by_hand(size, resized, corner):
    image = picture(*size)
    left, top = corner
    crop = image.resize(resized, Image.Resampling.BICUBIC).crop((left, top, left + 224, top + 224))
    np.testing.assert_array_equal(preprocess_image(image, CLIP), normalised(np.asarray(crop)))


def test_one_value_worked_out_by_hand():
    # (51 / 255 - mean) / std
    result = preprocess_image(Image.new("RGB", (9, 9), (51, 51, 51)), Preprocessing(4))
    np.testing.assert_allclose(result[0, 0], [-1.0477428, -0.9867009, -0.7549964], rtol=1e-6)


MODES = ["RGB", "L", "LA", "P", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "1",
         "I;16", "I", "F"]  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_modes_are_converted_after_the_resize(mode):
    image = picture(57, 90, mode)
    assert image.mode == mode
    before = image.tobytes()
    np.testing.assert_array_equal(
        preprocess_image(image, Preprocessing(32)), by_torchvision(image, 32)
    )
    assert (image.mode, image.size, image.tobytes()) == (mode, (57, 90), before)


def test_a_palette_picture_is_resized_nearest():
    palette = np.array([[200, 10, 30], [0, 90, 255]], np.uint8)
    image = Image.fromarray(np.tile([[0, 1], [1, 0]], (4, 4)).astype(np.uint8), "P")
    image.putpalette(palette.tobytes())
    indices = np.repeat(np.repeat(np.asarray(image), 2, 0), 2, 1)
    result = preprocess_image(image, Preprocessing(16))
    np.testing.assert_array_equal(result, normalised(palette[indices]))


@pytest.mark.parametrize("mode", ["clip", "tcr"])
@pytest.mark.parametrize("transparency", [3, bytes([0, 128] + [255] * 254)])
def test_transparency_is_dropped_without_a_warning(mode, transparency):
    image = picture(20, 20, "P")
    opaque = preprocess_image(image, Preprocessing(16, mode=mode))
    image.info["transparency"] = transparency
    np.testing.assert_array_equal(preprocess_image(image, Preprocessing(16, mode=mode)), opaque)
    assert image.info["transparency"] == transparency


def test_grey_values_of_16_bits_are_clipped():
    image = Image.fromarray(np.full((8, 8), 100, np.uint16))
    expected = normalised(np.full((4, 4, 3), 100, np.uint8))
    np.testing.assert_array_equal(preprocess_image(image, Preprocessing(4)), expected)
    image = Image.fromarray(np.full((8, 8), 30_000, np.uint16))
    expected = normalised(np.full((4, 4, 3), 255, np.uint8))
    np.testing.assert_array_equal(preprocess_image(image, Preprocessing(4)), expected)


def test_exif_rotation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(60, 40).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as turned:
        assert turned.getexif()[0x0112] == 6
        result = preprocess_image(turned, Preprocessing(32))
    np.testing.assert_array_equal(result, by_torchvision(picture(60, 40), 32))


def test_short_side_and_crop_may_differ():
    image = picture(100, 150)
    result = preprocess_image(image, Preprocessing(32, short_side=40))
    rgb = np.asarray(image.resize((40, 60), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(result, normalised(rgb[14:46, 4:36]))


def test_a_crop_larger_than_the_picture_is_padded_with_black():
    # torchvision: left/top (crop - length) // 2, right/bottom one more if odd.
    image = picture(40, 40)
    result = preprocess_image(image, Preprocessing(45, short_side=40))
    expected = np.zeros((45, 45, 3), np.uint8)
    expected[2:42, 2:42] = np.asarray(image)
    np.testing.assert_array_equal(result, normalised(expected))


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA", "I;16"])
def test_tcr_converts_and_squashes(mode):
    image = picture(57, 90, mode)
    rgb = image.convert("RGB").resize((32, 32), Image.Resampling.BICUBIC)
    result = preprocess_image(image, Preprocessing(32, mode="tcr"))
    np.testing.assert_array_equal(result, normalised(np.asarray(rgb)))


def test_own_mean_and_std():
    result = preprocess_image(
        Image.new("RGB", (8, 8), (255, 0, 51)), Preprocessing(4, (0.5, 0.5, 0.2), (0.5, 0.25, 1))
    )
    np.testing.assert_allclose(result, np.tile(np.float32([1, -2, 0]), (4, 4, 1)), atol=1e-7)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("photo.jpg", r"expected a PIL image, not str; open files with .*open_image"),
        (np.zeros((4, 4, 3), np.uint8), r"not ndarray; .*arrays with PIL\.Image\.fromarray"),
        (Image.new("RGB", (0, 5)), "an image of 0x5 pixels has nothing to show"),
        (Image.new("L", (1, MAX_ASPECT + 1)), "1x1001 pixels is a strip .* crop it first"),
        (Image.new("La", (5, 5)), "an image of mode 'La' has no way to RGB"),
    ],
)
def test_what_cannot_be_preprocessed(image, message):
    with pytest.raises(UserError, match=message):
        preprocess_image(image, CLIP)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "tcp"}, "unknown preprocessing mode 'tcp'; did you mean 'tcr'"),
        ({"image_size": 0}, "image_size is 0; it must be a positive number of pixels"),
        ({"short_side": -3}, "short_side is -3"),
        ({"mean": (0.5,)}, r"mean \(0.5,\) and std .* must hold 3 numbers each"),
        ({"std": (1.0, 0.0, 1.0)}, "std positive"),
    ],
)
def test_impossible_settings(arguments, message):
    with pytest.raises(UserError, match=message):
        Preprocessing(**{"image_size": 224} | arguments)


SIZE = 24
OPENAI = {
    "crop_size": 24, "do_center_crop": True, "do_normalize": True, "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": list(CLIP_MEAN),
    "image_std": list(CLIP_STD), "resample": 3, "size": 24,
}  # fmt: skip
NEWER = OPENAI | {
    "crop_size": {"height": 24, "width": 24},
    "size": {"shortest_edge": 30},
    "do_rescale": True,
    "rescale_factor": 0.00392156862745098,
    "image_mean": [0.5, 0.4, 0.3],
}


@pytest.mark.parametrize("name", ["preprocessor_config.json", "processor_config.json"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (OPENAI, Preprocessing(24, short_side=24)),
        (NEWER, Preprocessing(24, (0.5, 0.4, 0.3), short_side=30)),
        ({}, Preprocessing(24, short_side=24)),
    ],
)
def test_read_preprocessing(tmp_path, name, content, expected):
    content = content if name.startswith("prep") else {"image_processor": content}
    (tmp_path / name).write_text(json.dumps(content))
    assert read_preprocessing(tmp_path, SIZE) == expected


def test_defaults_without_a_file(tmp_path):
    assert read_preprocessing(tmp_path, SIZE) == Preprocessing(24, short_side=24)


def test_tcr_takes_only_mean_and_std(tmp_path):
    content = NEWER | {"resample": 2}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content))
    found = read_preprocessing(tmp_path, SIZE, mode="tcr")
    assert (found.mode, found.image_size, found.mean) == ("tcr", 24, (0.5, 0.4, 0.3))
    with pytest.raises(UserError, match=r"^unknown preprocessing mode 'squash'"):
        read_preprocessing(tmp_path, SIZE, mode="squash")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop_size": 30}, r"crop_size is 30x30, but config\.json says image_size 24"),
        ({"crop_size": {"height": 24, "width": 20}}, "crop_size is 24x20"),
        ({"crop_size": {"shortest_edge": 24}}, "crop_size is NonexNone"),
        ({"size": {"height": 24, "width": 24}}, "but CLIP resizes the shortest_edge"),
        ({"size": "large"}, "size is 'large'"),
        ({"resample": 2}, r"resample is 2, but CLIP resizes bicubic \(3\); preprocess the images"),
        ({"rescale_factor": 1.0}, "rescale_factor is 1.0, but CLIP divides by 255"),
        ({"do_center_crop": False}, "do_center_crop is false, but CLIP's preprocessing has this"),
        ({"image_mean": [0.5]}, r"mean \(0.5,\) and std"),
        ({"image_std": 0.5}, "image_std is 0.5, not a list of numbers"),
        ({"image_std": ["a", "b", "c"]}, "image_std is .* not a list of numbers"),
    ],
)
def test_settings_that_do_not_fit(tmp_path, change, message):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(OPENAI | change))
    with pytest.raises(UserError, match=message) as caught:
        read_preprocessing(tmp_path, SIZE)
    assert str(caught.value).startswith(f"{path}: ")


def test_damaged_settings_name_the_file(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(UserError, match=r"preprocessor_config\.json: cannot be read as JSON"):
        read_preprocessing(tmp_path, SIZE)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ('A Dog, (small) runs: "fast"!', "a dog, small runs fast"),
        ("two\n dogs .* #1;  it's ~ok", "two dogs 1 it's ok"),
        ("black.and.white T-shirt?", "black and white t-shirt?"),
        ("...", ""),
        ("w " * 40, " ".join("w" * 30)),
    ],
)
def test_clean_caption_tcr(caption, expected):
    assert clean_caption_tcr(caption) == expected


def test_prepare_captions():
    captions = ["A Dog.", "cat"]
    assert prepare_captions(captions, "clip") == captions
    assert prepare_captions(captions, "tcr") == ["a dog", "cat"]
    for bad in ("", " \n\t"):
        with pytest.raises(UserError, match="caption 2 is empty or only white space; leave it out"):
            prepare_captions([*captions, bad], "clip")
