"""Uploaded pictures: what is refused before it is decoded, and how large noise may be."""

import io

import numpy as np
import pytest
from PIL import Image

from reex_jax.errors import UserError
from reex_jax.service.pictures import damaged_picture, shown_picture, uploaded_picture


def content(size, kind="PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (9, 99, 199)).save(file, kind)
    return file.getvalue()


def test_pixels_are_counted_before_decoding(monkeypatch):
    large = content((300, 200))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(UserError, match="300x200"):
        uploaded_picture(large, 59_999)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_common_formats_are_read(kind):
    assert uploaded_picture(content((30, 20), kind), 600).size == (30, 20)


def test_noise_works_on_small_pictures_only():
    damaged = damaged_picture(Image.new("RGB", (900, 450)), "glass_blur", 1, "name")
    assert damaged.size == (448, 224)
    small = Image.new("L", (40, 30))
    first = damaged_picture(small, "gaussian_noise", 5, "name")
    again = damaged_picture(small, "gaussian_noise", 5, "name")
    assert first.size == (40, 30)
    np.testing.assert_array_equal(np.asarray(first), np.asarray(again))


def test_what_is_shown_is_small():
    assert shown_picture(Image.new("CMYK", (3000, 2000))).startswith("data:image/png;base64,")
    assert len(shown_picture(Image.new("RGB", (3000, 2000)))) < 10_000
