"""Image files, opened so that every fault is one clear error."""

from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from reex_jax.errors import UserError

MIN_SIDE = 2
"""Pixels of the shorter side below which a file is taken for a placeholder, not a picture."""


def open_image(path: str | Path) -> Image.Image:
    """Opens and fully decodes an image file; of an animation, the first frame.

    The mode stays as in the file, and an EXIF rotation is not applied: `preprocess_image` treats
    both as OpenAI's CLIP does. Pillow's own settings are respected and left as they are.

    Args:
        path: a file in any format that Pillow reads.

    Returns:
        The image, independent of the file.

    Raises:
        UserError: the file is missing, empty, no image, damaged or cut off, has more pixels than
            `PIL.Image.MAX_IMAGE_PIXELS`, or a side shorter than MIN_SIDE.
    """
    path = Path(path)
    _check_file(path)
    return _decoded(path, path)


def decode_image(content: bytes, name: str) -> Image.Image:
    """The image in the bytes of a file, as `open_image` gives it; `name` is for messages.

    Raises:
        UserError: as `open_image`.
    """
    return _decoded(BytesIO(content), name)


def _decoded(source: Path | BytesIO, path: Path | str) -> Image.Image:
    try:
        with Image.open(source) as image:
            _check_size(path, image.size)
            image.load()
            return image
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(
            f"{path}: not an image in a format that Pillow reads; remove or replace it"
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


def _too_large(path: Path | str, reason: str) -> UserError:
    return UserError(
        f"{path}: {reason}; make the image smaller, or, if you trust the file, "
        "raise PIL.Image.MAX_IMAGE_PIXELS"
    )
