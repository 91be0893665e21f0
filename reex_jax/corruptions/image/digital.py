"""Faults of processing and storage."""

import io

import numpy as np
from PIL import Image

from reex_jax.corruptions.image.grey_levels import to_bytes


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


def saturate(image: np.ndarray, change: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Changes the saturation in HSV space; hue and value stay. Grey counts as red, as there.

    At a fixed hue and value all channels' distances from the largest are proportional to the
    saturation, so the way to HSV and back is one factor. Counted in tenths, all of it is integer
    arithmetic, hence exact.

    Args:
        image: uint8 [h, w, 3].
        change: factor of the saturation and what is added to it then, both in tenths.
        rng: not used.
    """
    factor, added = change
    value = image.max(axis=2, keepdims=True).astype(np.int32)
    depth = value - image
    chroma = depth.max(axis=2, keepdims=True)
    depth = np.where(chroma == 0, np.array([0, 1, 1]), depth)
    wanted = np.minimum(factor * chroma + added * value, 10 * value)
    chroma = 10 * np.maximum(chroma, 1)
    return ((value * chroma - depth * wanted) // chroma).astype(np.uint8)
