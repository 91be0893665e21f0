"""Image files, opened so that every fault is one clear error."""

from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from reex_jax.errors import UserError
from reex_jax.files import home, is_pointer, pointer_error, refuse_pointer

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
"""What is opened, in Pillow's names. Other formats may start programs (an EPS starts Ghostscript,
whatever the file's name says) or are no pictures."""

MAX_ASPECT = 1000
"""Longest side over shortest; beyond it a resized strip would fill the memory."""

MIN_SIDE = 2
"""Pixels of the shorter side below which a file is taken for a placeholder, not a picture."""


def open_image(path: str | Path) -> Image.Image:
    """Opens and fully decodes an image file; of an animation, the first frame.

    The mode stays as in the file, and an EXIF rotation is not applied: `preprocess_image` treats
    both as OpenAI's CLIP does. Pillow's own settings are respected and left as they are.

    Args:
        path: a file in one of FORMATS.

    Returns:
        The image, independent of the file.

    Raises:
        UserError: the file is missing, empty, a pointer of Git LFS, no image, damaged or cut off;
            it has more pixels than `PIL.Image.MAX_IMAGE_PIXELS`, a side shorter than MIN_SIDE, is
            more than MAX_ASPECT times as long as wide, or has a mode without way to RGB.
    """
    path = home(path)
    _check_file(path)
    return _decoded(path, path)


def decode_image(content: bytes, name: str) -> Image.Image:
    """The image in the bytes of a file, as `open_image` gives it; `name` is for messages.

    Raises:
        UserError: as `open_image`.
    """
    if is_pointer(content):
        raise pointer_error(name)
    return _decoded(BytesIO(content), name)


def _decoded(source: Path | BytesIO, path: Path | str) -> Image.Image:
    try:
        with Image.open(source, formats=FORMATS) as image:
            _check_size(path, image.size)
            image.load()
            _check_mode(path, image)
            return image
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(
            f"{path}: not an image in a format that is read here ({', '.join(FORMATS)}); remove or "
            "replace it"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path, str(error).split(",")[0]) from error
    except Exception as error:  # a decoder given damaged bytes may raise anything
        raise UserError(
            f"{path}: damaged or cut off ({error}); fetch the file anew or remove it"
        ) from error


def _check_file(path: Path) -> None:
    if not path.exists():
        raise UserError(f"{path}: no such image file; check the path")
    if not path.is_file():
        raise UserError(f"{path}: not a file; give the path of one image")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty (0 bytes); fetch it anew or remove it")
    refuse_pointer(path)


def _check_size(path: Path | str, size: tuple[int, int]) -> None:
    width, height = size
    limit = Image.MAX_IMAGE_PIXELS
    # Pillow itself only warns between one and two times its limit.
    if limit is not None and width * height > limit:
        raise _too_large(path, f"{width}x{height} pixels exceed the limit of {limit} pixels")
    if min(size) < MIN_SIDE:
        raise UserError(
            f"{path}: {width}x{height} pixels; a side is shorter than {MIN_SIDE} pixels, "
            "so this is no picture; remove or replace it"
        )
    if max(size) > MAX_ASPECT * min(size):
        raise UserError(
            f"{path}: {width}x{height} pixels are a strip more than {MAX_ASPECT} times as long as "
            "wide; crop it first"
        )


def _check_mode(path: Path | str, image: Image.Image) -> None:
    """Refuses what could not become RGB later."""
    try:
        image.crop((0, 0, 1, 1)).convert("RGB")
    except ValueError as error:
        raise UserError(
            f"{path}: an image of mode {image.mode!r} has no way to RGB ({error}); save it as RGB"
        ) from error


def _too_large(path: Path | str, reason: str) -> UserError:
    return UserError(
        f"{path}: {reason}; make the image smaller, or, if you trust the file, "
        "raise PIL.Image.MAX_IMAGE_PIXELS"
    )
