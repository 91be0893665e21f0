"""From the bytes of a picture's file to a picture within limits, and to its thumbnail."""

from io import BytesIO

from PIL import Image, ImageOps, UnidentifiedImageError

from reex_jax.errors import UserError
from reex_jax.models.images import FORMATS, decode_image

_QUALITY = 80


def picture_of(content: bytes, name: str, max_pixels: int) -> Image.Image:
    """The picture in a file, as `decode_image` gives it.

    Raises:
        UserError: more than `max_pixels`, which is known before anything is decoded; else see
            `decode_image`.
    """
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return decode_image(content, name)  # it says what is wrong
    except Exception as error:  # a reader given damaged bytes may raise anything
        raise UserError(f"{name}: damaged ({error}); fetch the file anew or remove it") from error
    if width * height > max_pixels:
        raise UserError(
            f"{name}: {width}x{height} pixels are more than build.max_pixels={max_pixels}"
        )
    return decode_image(content, name)


def thumbnail_of(image: Image.Image, side: int) -> bytes:
    """A small JPEG, turned as its EXIF data say, on white; b"" with side 0."""
    if not side:
        return b""
    clear = image.has_transparency_data
    small = image.copy() if image.mode == "RGB" else image.convert("RGBA" if clear else "RGB")
    small.thumbnail((side, side))
    small = ImageOps.exif_transpose(small)
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    file = BytesIO()
    small.convert("RGB").save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
