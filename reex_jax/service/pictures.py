"""Pictures that strangers upload: few pixels, no surprises."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from reex_jax.corruptions.image.kinds import corrupt_image
from reex_jax.errors import UserError
from reex_jax.models.images import FORMATS, decode_image

_NAME = "the picture"
_NOISE_SIDE = 224  # corruptions are meant for it; larger ones would take seconds
_SHOWN_SIDE = 192


def uploaded_picture(content: bytes, most_pixels: int) -> Image.Image:
    """The picture in an upload.

    Raises:
        UserError: no picture in a format that is read, damaged, or with too many pixels; these are
            refused before they are decoded.
    """
    if not content:
        raise UserError("the picture is empty (0 bytes); send the bytes of a picture file")
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
    except Exception:
        width = height = 0  # what is wrong, `decode_image` says
    if width * height > most_pixels:
        raise UserError(
            f"the picture has {width}x{height} pixels, more than the {most_pixels:,} that are "
            "allowed; make it smaller"
        )
    return decode_image(content, _NAME)


def damaged_picture(image: Image.Image, kind: str, severity: int, name: str) -> Image.Image:
    """A picture with a corruption, at most 224 pixels on its shorter side.

    Raises:
        UserError: an unknown kind, or a severity that it has not.
    """
    small = image.convert("RGB")
    if min(small.size) > _NOISE_SIDE:
        scale = _NOISE_SIDE / min(small.size)
        width, height = (max(1, round(side * scale)) for side in small.size)
        small = small.resize((width, height), Image.Resampling.BICUBIC)
    array = corrupt_image(np.asarray(small), kind, severity, item_id=name, seed=0)
    return Image.fromarray(array)


def shown_picture(image: Image.Image) -> str:
    """A picture as a small `data:` address, for the page."""
    small = image.convert("RGB")
    small.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    file = BytesIO()
    small.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def encoded(image: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
