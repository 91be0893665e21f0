"""Faults of processing and storage."""

import io

import numpy as np
from PIL import Image

from reex_jax.corruptions.grey_levels import to_bytes


def contrast(image: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Pulls every channel towards its mean over the image.

    Args:
        image: uint8 [h, w, 3].
        factor: the share of the distance from the mean that is left.
        rng: not used.
    """
    levels = np.arange(256) / 255.0
    channels = []
    for channel in range(image.shape[2]):
        pixels = image[:, :, channel]
        # The sum of integers is exact; a floating mean depends on the order of summation.
        mean = float(pixels.sum(dtype=np.int64)) / pixels.size / 255.0
        channels.append(to_bytes((levels - mean) * factor + mean)[pixels])
    return np.stack(channels, axis=2)


def pixelate(image: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Shrinks by averaging and enlarges by repeating; at least one pixel is left.

    Args:
        image: uint8 [h, w, 3].
        factor: size of the small image relative to the large one.
        rng: not used.
    """
    height, width, _ = image.shape
    small = (max(int(width * factor), 1), max(int(height * factor), 1))
    shrunk = Image.fromarray(image).resize(small, Image.Resampling.BOX)
    return np.array(shrunk.resize((width, height), Image.Resampling.NEAREST))


def jpeg_compression(image: np.ndarray, quality: int, rng: np.random.Generator) -> np.ndarray:
    """Compresses as JPEG (Pillow's defaults) in memory and reads it back.

    Args:
        image: uint8 [h, w, 3].
        quality: libjpeg's quality, 1 to 95.
        rng: not used.
    """
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as compressed:
        return np.array(compressed)
