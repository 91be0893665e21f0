"""Distortion of a sheet of rubber."""

import numpy as np
from scipy import ndimage


def elastic_transform(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Moves each pixel by a smooth random field; beyond the border the image is mirrored.

    This is the definition of the package `imagecorruptions`. The field's amplitude follows the
    image's height and its smoothness follows both sides.

    Args:
        image: uint8 [h, w, 3].
        strength: by how much the smoothed field is amplified.
        rng: source of the field.
    """
    height, width, _ = image.shape
    sigma = (0.01 * height, 0.01 * width)
    reach = 0.005 * height
    fields = [
        strength
        * ndimage.gaussian_filter(
            rng.uniform(-reach, reach, (height, width)), sigma, mode="reflect", truncate=3.0
        )
        for _ in range(2)
    ]
    return _sample(
        image, np.arange(height)[:, np.newaxis] + fields[1], np.arange(width) + fields[0]
    )


def _sample(image: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The image at places [h, w] between pixels, linear between neighbours, cut off to bytes."""
    height, width, channels = image.shape
    top, left = np.floor(y), np.floor(x)
    down, right = (y - top)[..., np.newaxis], (x - left)[..., np.newaxis]
    rows = [_mirror(top.astype(np.int64) + step, height) * width for step in (0, 1)]
    columns = [_mirror(left.astype(np.int64) + step, width) for step in (0, 1)]
    pixels = image.reshape(-1, channels).astype(np.float64)
    upper, lower = (
        _between(pixels[row + columns[0]], pixels[row + columns[1]], right) for row in rows
    )
    return _between(upper, lower, down).astype(np.uint8)


def _between(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    return first + (second - first) * share


def _mirror(places: np.ndarray, size: int) -> np.ndarray:
    """Folds whole numbers into [0, size): ... 1 0 | 0 1 ... size-1 | size-1 ..."""
    places = places % (2 * size)
    return np.minimum(places, 2 * size - 1 - places)
