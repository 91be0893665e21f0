"""Images and captions made ready for the model, as OpenAI's CLIP or as TCR does it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reex_jax.errors import UserError, unknown
from reex_jax.files import home, read_json
from reex_jax.models.images import MAX_ASPECT
from reex_jax.settings.choices import MODES

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

TCR_WORDS = 30
_TCR_PUNCTUATION = re.compile(r'[.!"()*#:;~]')
_REMEDY = "preprocess the images yourself and use encode_pixels"


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the model's pixels; a result must state `mode`.

    Attributes:
        image_size: height and width of the result, in pixels.
        mean, std: per channel (red, green, blue), on values between 0 and 1.
        mode: "clip": resize the short side, centre crop, captions as they are;
            "tcr": squash to a square, captions through `clean_caption_tcr`.
        short_side: what "clip" resizes the short side to before the crop; None: image_size.
        squash: whether "clip" squashes to a square, too, instead of resizing and cropping.
        resample: of the resizing, Pillow's number: 3 bicubic, 2 bilinear.
    """

    image_size: int
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    mode: str = "clip"
    short_side: int | None = None
    squash: bool = False
    resample: int = Image.Resampling.BICUBIC.value

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            UserError: a size is not positive, or mean and std are not three fitting numbers.
        """
        if self.mode not in MODES:
            raise unknown("preprocessing mode", self.mode, MODES)
        for name in ("image_size", "short_side"):
            side = getattr(self, name)
            if side is not None and (not isinstance(side, int) or side < 1):
                raise UserError(f"{name} is {side!r}; it must be a positive number of pixels")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise UserError(
                f"mean {self.mean} and std {self.std} must hold 3 numbers each, std positive"
            )


def read_preprocessing(
    folder: str | Path, image_size: int, *, mode: str = "clip", default: Preprocessing | None = None
) -> Preprocessing:
    """What the checkpoint's preprocessor_config.json asks for; what it leaves out, by default.

    transformers 5 writes the same settings into processor_config.json under `image_processor`.

    Args:
        folder: the checkpoint folder.
        image_size: the model's; the result must have it.
        mode: "clip" or "tcr"; "tcr" takes only mean, std and the kind of resizing from the file.
        default: of the family, for its mean, std, resample, and whether it squashes; CLIP's.

    Raises:
        UserError: the file is damaged, does not fit the model, or asks for steps that this
            preprocessing does not have; the message names file and key.
    """
    if mode not in MODES:
        raise unknown("preprocessing mode", mode, MODES)
    default = default or Preprocessing(image_size)
    path, settings = _read_settings(home(folder))
    try:
        _check_steps(settings, image_size, mode, default.squash)
        short_side = image_size
        if mode == "clip" and not default.squash:
            short_side = _short_side(settings.get("size", image_size))
        return Preprocessing(
            image_size=image_size,
            mean=_numbers(settings, "image_mean", default.mean),
            std=_numbers(settings, "image_std", default.std),
            mode=mode,
            short_side=short_side,
            squash=default.squash,
            resample=_resample(settings, default) if default.squash else default.resample,
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def preprocess_image(image: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """One picture as normalised pixels [image_size, image_size, 3] float32.

    Args and errors as `crop_image`.
    """
    size = preprocessing.image_size
    # Each step in float32, in torchvision's order: the same rounding. In place and by whole rows,
    # because NumPy is slow along an axis of three.
    pixels = crop_image(image, preprocessing).astype(np.float32).reshape(size, size * 3)
    pixels /= np.float32(255)
    pixels -= np.tile(np.asarray(preprocessing.mean, np.float32), size)
    pixels /= np.tile(np.asarray(preprocessing.std, np.float32), size)
    return pixels.reshape(size, size, 3)


def crop_image(image: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """One picture as pixels [image_size, image_size, 3] uint8, not normalised yet.

    "clip" does what OpenAI's CLIP does with torchvision, to the bit: resize (Pillow's bicubic;
    palette and bilevel images nearest) so that the short side fits, the long side rounded down;
    crop the centre, half pixels to even; only then convert to RGB. Alpha is dropped, an EXIF
    rotation is ignored, and 16-bit values are clipped or scaled as Pillow's own conversion does
    (a 16-bit grey PNG is clipped at 255). "tcr" converts first, then squashes to a square.

    Args:
        image: a picture of any mode that Pillow converts to RGB.
        preprocessing: the settings.

    Raises:
        UserError: not a picture, no pixels, too long a strip, or a mode without way to RGB.
    """
    if not isinstance(image, Image.Image):
        raise UserError(
            f"expected a PIL image, not {type(image).__name__}; open files with "
            "reex_jax.models.images.open_image, arrays with PIL.Image.fromarray"
        )
    if min(image.size) < 1:
        raise UserError(f"an image of {image.width}x{image.height} pixels has nothing to show")
    size, resample = preprocessing.image_size, Image.Resampling(preprocessing.resample)
    if preprocessing.mode == "tcr":
        rgb = _to_rgb(image.copy()).resize((size, size), Image.Resampling.BICUBIC)
    elif preprocessing.squash:
        rgb = _to_rgb(image.copy()).resize((size, size), resample)
    else:
        resized = _resize_short_side(image, preprocessing.short_side or size, resample)
        rgb = _to_rgb(_centre_crop(resized, size))
    return np.asarray(rgb)


def preprocess_numbered(
    images: Iterable[tuple[int, Image.Image]], preprocessing: Preprocessing
) -> np.ndarray:
    """Pixels [n, image_size, image_size, 3] float32 of n > 0 pairs (position, image).

    Raises:
        UserError: as `preprocess_image`; the message names the image's position.
    """
    pixels = []
    for position, image in images:
        try:
            pixels.append(preprocess_image(image, preprocessing))
        except UserError as error:
            raise UserError(f"image {position}: {error}") from error
    return np.stack(pixels)


def clean_caption_tcr(caption: str, max_words: int = TCR_WORDS) -> str:
    """A caption as TCR (and BLIP before it) reads it; may come out empty.

    Lower-cased; each of . ! " ( ) * # : ; ~ becomes a space; runs of white space become one space;
    the first `max_words` words stay.
    """
    return " ".join(_TCR_PUNCTUATION.sub(" ", caption.lower()).split()[:max_words])


def prepare_captions(captions: Iterable[str], mode: str) -> list[str]:
    """Captions as the preprocessing mode wants them, ready for the tokenizer.

    What is not a string passes, for the tokenizer to refuse.

    Raises:
        UserError: a caption is empty or only white space; the message names its position.
    """
    result = []
    for position, caption in enumerate(captions):
        text = caption
        if isinstance(text, str):
            if not text.strip():
                raise UserError(
                    f"caption {position} is empty or only white space; leave it out or fill it in"
                )
            text = clean_caption_tcr(text) if mode == "tcr" else text
        result.append(text)
    return result


def _resize_short_side(image: Image.Image, side: int, resample: Image.Resampling) -> Image.Image:
    short, long = sorted(image.size)
    if long > MAX_ASPECT * short:
        raise UserError(
            f"an image of {image.width}x{image.height} pixels is a strip more than {MAX_ASPECT} "
            "times as long as wide; crop it first"
        )
    scaled = int(side * long / short)  # torchvision's rounding
    size = (side, scaled) if image.width <= image.height else (scaled, side)
    return image.resize(size, resample)


def _centre_crop(image: Image.Image, size: int) -> Image.Image:
    """torchvision's CenterCrop; where the image is smaller, Pillow fills with zeros."""
    left, top = (_crop_offset(length, size) for length in image.size)
    return image.crop((left, top, left + size, top + size))


def _crop_offset(length: int, size: int) -> int:
    """torchvision crops at round-half-to-even, but pads (a negative offset) rounding down."""
    return round((length - size) / 2) if length >= size else -((size - length) // 2)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Converts an image of our own; its transparency is dropped, so that Pillow need not warn."""
    image.info.pop("transparency", None)
    try:
        return image.convert("RGB")
    except ValueError as error:
        raise UserError(f"an image of mode {image.mode!r} has no way to RGB: {error}") from error


def _read_settings(folder: Path) -> tuple[Path, Mapping[str, Any]]:
    path = folder / "preprocessor_config.json"
    if path.is_file():
        return path, read_json(path)
    path = folder / "processor_config.json"
    nested = read_json(path).get("image_processor") if path.is_file() else None
    return path, nested if isinstance(nested, Mapping) else {}


def _check_steps(settings: Mapping[str, Any], size: int, mode: str, squash: bool) -> None:
    if mode != "clip":
        return
    for key in ("do_resize", "do_rescale", "do_normalize", "do_center_crop"):
        wanted = not (squash and key == "do_center_crop")
        if settings.get(key, wanted) not in (wanted, None):
            raise UserError(
                f"{key} is false, but CLIP's preprocessing has this step; {_REMEDY}"
                if wanted
                else f"{key} is true, but this model's preprocessing squashes pictures; {_REMEDY}"
            )
    factor = settings.get("rescale_factor", 1 / 255)
    if not isinstance(factor, float) or abs(factor * 255 - 1) > 1e-6:
        raise UserError(f"rescale_factor is {factor!r:.60}, but CLIP divides by 255; {_REMEDY}")
    if squash:
        _check_square("size", settings.get("size", size), size)
        return
    resample = settings.get("resample", Image.Resampling.BICUBIC.value)
    if resample != Image.Resampling.BICUBIC.value:
        raise UserError(f"resample is {resample!r:.60}, but CLIP resizes bicubic (3); {_REMEDY}")
    _check_square("crop_size", settings.get("crop_size", size), size)


def _check_square(key: str, given: Any, size: int) -> None:
    height, width = (
        (given.get("height"), given.get("width")) if isinstance(given, Mapping) else (given, given)
    )
    if height != size or width != size:
        raise UserError(
            f"{key} is {height!s:.60}x{width!s:.60}, but config.json says image_size {size}; "
            "take both files from one checkpoint"
        )


def _resample(settings: Mapping[str, Any], default: Preprocessing) -> int:
    given = settings.get("resample", default.resample)
    if given not in (Image.Resampling.BILINEAR.value, Image.Resampling.BICUBIC.value):
        raise UserError(
            f"resample is {given!r:.60}; known are 2 (bilinear) and 3 (bicubic); {_REMEDY}"
        )
    return int(given)


def _short_side(size: Any) -> int:
    side = size.get("shortest_edge") if isinstance(size, Mapping) else size
    if not isinstance(side, int) or side < 1:
        raise UserError(f"size is {size!r:.60}, but CLIP resizes the shortest_edge; {_REMEDY}")
    return side


def _numbers(settings: Mapping[str, Any], key: str, default: Sequence[float]) -> tuple[float, ...]:
    values = settings.get(key, default)
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{key} is {values!r:.60}, not a list of numbers") from error
