"""Pictures within limits, and thumbnails of every mode."""

import io

import numpy as np
import pytest
from PIL import Image

from reex_jax.errors import UserError
from reex_jax.index.pictures import picture_of, thumbnail_of


def content(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_the_picture_is_what_the_file_holds():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    found = picture_of(content(Image.fromarray(pixels)), "a.png", 35)
    np.testing.assert_array_equal(np.asarray(found), pixels)


def test_too_many_pixels_are_refused_before_decoding(monkeypatch):
    data = content(Image.new("RGB", (6, 6)))
    with pytest.raises(UserError, match=r"a.png: 6x6 pixels are more than build.max_pixels=35"):
        picture_of(data, "a.png", 35)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UserError, match="MAX_IMAGE_PIXELS"):
        picture_of(data, "a.png", 1000)


@pytest.mark.parametrize("data", [b"", b"words", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(UserError, match=r"a\.png"):
        picture_of(data, "a.png", 100)


def test_a_picture_that_is_cut_off_is_refused():
    whole = content(Image.effect_noise((64, 64), 50))
    with pytest.raises(UserError, match="damaged or cut off"):
        picture_of(whole[:-1000], "a.png", 10_000)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "F"])
def test_thumbnails_of_every_mode_fit(mode):
    small = Image.open(io.BytesIO(thumbnail_of(Image.new(mode, (300, 100)), 30)))
    assert small.format == "JPEG" and small.size == (30, 10)


def test_thumbnails_are_turned_and_lie_on_white():
    turned = Image.new("RGB", (40, 20))
    exif = turned.getexif()
    exif[0x0112] = 6
    image = picture_of(content(turned, "JPEG", exif=exif), "a.jpg", 10_000)
    assert Image.open(io.BytesIO(thumbnail_of(image, 20))).size == (10, 20)
    glass = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert np.asarray(Image.open(io.BytesIO(thumbnail_of(glass, 8)))).min() > 250
    assert thumbnail_of(glass, 0) == b""
