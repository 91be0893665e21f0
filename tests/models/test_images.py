"""Opening image files: every fault is one error that names the file and the remedy."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, ImageFile

from reex_jax.corruptions.image.kinds import IMAGE_CORRUPTIONS, corrupt_image
from reex_jax.errors import UserError
from reex_jax.models.images import FORMATS, MIN_SIDE, decode_image, open_image
from reex_jax.models.preprocess import Preprocessing, preprocess_image

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)


def encoded(form, **options):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, form, **options)
    return buffer.getvalue()


def png_header(width, height):
    """A PNG that claims a size and holds one byte of data."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    )


@pytest.fixture
def put(tmp_path):
    def write(data, name="photo.img"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_opens_and_decodes(put, form):
    path = put(encoded(form))
    image = open_image(path)
    path.unlink()  # the picture no longer needs its file
    assert image.size == (30, 40)
    pixels = np.asarray(image.convert("RGB"))
    if form in ("PNG", "BMP", "TIFF"):
        np.testing.assert_array_equal(pixels, PIXELS)
    assert open_image(str(put(encoded(form)))).size == (30, 40)


def test_bytes_are_decoded_as_files_are():
    np.testing.assert_array_equal(np.asarray(decode_image(encoded("PNG"), "photo 7")), PIXELS)
    with pytest.raises(UserError, match=r"^photo 7: damaged or cut off"):
        decode_image(half(encoded("JPEG")), "photo 7")
    with pytest.raises(UserError, match=r"^photo 7: not an image in a format that is read here"):
        decode_image(b"", "photo 7")


def test_keeps_mode_and_exif_rotation(put):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    assert open_image(put(encoded("JPEG", exif=exif))).size == (30, 40)
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).quantize(16).save(buffer, "PNG")
    assert open_image(put(buffer.getvalue())).mode == "P"


def test_an_animation_gives_its_first_frame(put):
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    image = open_image(put(buffer.getvalue())).convert("RGB")
    assert image.getpixel((3, 3)) == (255, 0, 0)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(UserError, match=r"none\.jpg: no such image file; check the path"):
        open_image(tmp_path / "none.jpg")
    with pytest.raises(UserError, match="not a file; give the path of one image"):
        open_image(tmp_path)


def half(data):
    return data[: len(data) // 2]


def spoiled(data):
    middle = len(data) // 2
    return data[:middle] + bytes(200) + data[middle + 200 :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"the file is empty \(0 bytes\); fetch it anew or remove it"),
        (
            b"<html>Not found</html>",
            "not an image in a format that is read here",
        ),
        (b"\xff\xd8\xff", "not an image in a format that is read here"),
        (half(encoded("JPEG")), r"damaged or cut off \(.+\); fetch the file anew or remove it"),
        (half(encoded("PNG")), "damaged or cut off"),
        (spoiled(encoded("PNG")), "damaged or cut off"),
        (half(encoded("BMP")), "damaged or cut off"),
        (half(encoded("TIFF", compression="tiff_lzw")), "not an image|damaged or cut off"),
        (half(encoded("WEBP")), "not an image|damaged or cut off"),
        (half(encoded("GIF")), "damaged or cut off"),
        (png_header(64, 64), "damaged or cut off"),
    ],
)
def test_damaged_files(put, data, message):
    path = put(data)
    with pytest.raises(UserError, match=message) as caught:
        open_image(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("side", [60_000, 12_000])
def test_decompression_bomb(put, side):
    # The larger one Pillow refuses by itself, of the other it only warns.
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    message = f"{side * side} pixels|{side}x{side} pixels"
    with pytest.raises(UserError, match=message) as caught:
        open_image(put(png_header(side, side)))
    assert "limit of" in str(caught.value)
    assert "raise PIL.Image.MAX_IMAGE_PIXELS" in str(caught.value)
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_the_size_is_said_where_pillow_only_warns(put):
    with pytest.raises(UserError, match="12000x12000 pixels exceed the limit of 89478485 pixels"):
        open_image(put(png_header(12_000, 12_000)))


def test_the_users_own_pixel_limit_is_respected(put, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert open_image(put(encoded("PNG"))).size == (30, 40)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30 * 40)
    assert open_image(put(encoded("PNG"))).size == (30, 40)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
def test_too_small_pictures(put, size):
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "PNG")
    message = rf"{size[0]}x{size[1]} pixels; a side is shorter than {MIN_SIDE} pixels"
    with pytest.raises(UserError, match=message):
        open_image(put(buffer.getvalue()))


def test_two_pixels_are_enough(put):
    buffer = io.BytesIO()
    Image.new("RGB", (MIN_SIDE, MIN_SIDE)).save(buffer, "PNG")
    assert open_image(put(buffer.getvalue())).size == (2, 2)


@pytest.mark.parametrize("name", ["photo.eps", "photo.png"])
def test_formats_that_start_programs_are_not_opened(put, name, monkeypatch):
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *a, **k: pytest.fail("started"))
    with pytest.raises(UserError, match="not an image in a format that is read here"):
        open_image(put(encoded("EPS"), name))


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_that_is_listed_is_opened(put, form):
    assert open_image(put(encoded(form))).size == (30, 40)


def test_a_jpeg_of_several_pictures_gives_the_first(put):
    buffer = io.BytesIO()
    first, second = Image.fromarray(PIXELS), Image.fromarray(PIXELS[:10])
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    assert open_image(put(buffer.getvalue())).size == (30, 40)


def test_a_mode_without_way_to_rgb(put, monkeypatch):
    def convert(self, mode):
        raise ValueError(f"conversion from {self.mode} to {mode} not supported")

    monkeypatch.setattr(Image.Image, "convert", convert)  # which modes these are, Pillow decides
    with pytest.raises(UserError, match=r"photo\.img: an image of mode 'RGB' has no way to RGB"):
        open_image(put(encoded("PNG")))


@pytest.mark.parametrize("size", [(2, 2010), (2010, 2), (5, 5001)])
def test_strips(put, size):
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "PNG")
    message = rf"{size[0]}x{size[1]} pixels are a strip more than 1000 times as long as wide"
    with pytest.raises(UserError, match=message):
        open_image(put(buffer.getvalue()))


@pytest.mark.parametrize("size", [(2, 2), (2, 2000), (2000, 2), (3, 2)])
def test_what_is_opened_can_be_corrupted_and_preprocessed(put, size):
    buffer = io.BytesIO()
    Image.effect_noise(size, 50).convert("RGB").save(buffer, "PNG")
    image = open_image(put(buffer.getvalue()))
    for mode in ("clip", "tcr"):
        assert preprocess_image(image, Preprocessing(16, mode=mode)).shape == (16, 16, 3)
    for name, kind in IMAGE_CORRUPTIONS.items():
        for severity in (1, kind.severities):
            made = corrupt_image(np.asarray(image), name, severity, item_id="a", seed=0)
            assert made.shape == (size[1], size[0], 3)


def test_pointers_of_git_lfs_are_named(put):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n"
    with pytest.raises(UserError, match=r"photo\.img: a pointer of Git LFS"):
        open_image(put(pointer.encode()))
    with pytest.raises(UserError, match="photo 7: a pointer of Git LFS"):
        decode_image(pointer.encode(), "photo 7")
