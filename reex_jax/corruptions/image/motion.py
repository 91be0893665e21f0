"""Movement of the camera."""

import math

import numpy as np
from PIL import Image

_UNIT = 2**16
"""Kernel weights are counted in 1 / _UNIT: sums of grey levels then fit into a float32 exactly."""


def motion_blur(
    image: np.ndarray, motion: tuple[int, float], rng: np.random.Generator
) -> np.ndarray:
    """Smears along a straight line, at most 45 degrees from the horizontal.

    Args:
        image: uint8 [h, w, 3].
        motion: half the length of the line in pixels, and how fast its weight falls, the standard
            deviation of half a bell in pixels.
        rng: source of the angle.
    """
    angle = rng.uniform(-45.0, 45.0)
    return smear(image, *motion, angle).astype(np.uint8)


def smear(values: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """The weighted mean of copies that lie 0, 1, ... 2 * radius pixels away along a line.

    Beyond the border an image goes on as it ends. ImageNet-C left this to ImageMagick; this is
    the definition of the package `imagecorruptions`, but for images that are smaller than the
    line is long: it leaves the far copies out, which darkens them, and we do not.

    Args:
        values: [h, w, ...]; whole numbers up to 255 are summed exactly.
        radius: half the length of the line in pixels.
        sigma: standard deviation of the weights in pixels; they fall from the nearest copy on.
        angle: direction of the line in degrees.

    Returns:
        float32 [h, w, ...].
    """
    distance = np.arange(2 * radius + 1)
    bell = np.exp(-0.5 * (distance / sigma) ** 2)
    weights = np.rint(bell / bell.sum() * _UNIT)
    weights[0] += _UNIT - weights.sum()
    height, width = values.shape[:2]
    down = [math.ceil(d * math.sin(math.radians(angle)) - 0.5) for d in distance]
    right = [math.ceil(d * math.cos(math.radians(angle)) - 0.5) for d in distance]
    margins = [(max(0, -min(steps)), max(0, max(steps))) for steps in (down, right)]
    rest = [(0, 0)] * (values.ndim - 2)
    padded = np.pad(values.astype(np.float32), margins + rest, mode="edge")
    total = np.zeros(values.shape, np.float32)
    for weight, y, x in zip(weights.astype(np.float32), down, right, strict=True):
        top, left = margins[0][0] + y, margins[1][0] + x
        total += weight * padded[top : top + height, left : left + width]
    return total / np.float32(_UNIT)


def zoom_blur(image: np.ndarray, zoom: tuple[int, float], rng: np.random.Generator) -> np.ndarray:
    """The mean of the image and of its middle part, enlarged by growing factors.

    Args:
        image: uint8 [h, w, 3].
        zoom: how many factors, the first being 1, and how far they lie apart.
        rng: not used.
    """
    count, step = zoom
    picture = Image.fromarray(image)
    # Twice as it is: once as such and once enlarged by 1.
    total = 2 * image.astype(np.int32)
    for index in range(1, count):
        total += np.asarray(_enlarge_middle(picture, 1.0 + index * step))
    return (total // (count + 1)).astype(np.uint8)


def _enlarge_middle(picture: Image.Image, factor: float) -> Image.Image:
    """Enlarges the middle by linear interpolation and cuts to the image's size.

    As in `scipy.ndimage.zoom`, the first and the last pixel of the middle keep their places, and
    so the grid of the enlarged image is set out between their centres.
    """
    starts, ends = [], []
    for size in picture.size:
        middle = math.ceil(size / factor)
        enlarged = round(middle * factor)
        scale = (middle - 1) / (enlarged - 1) if enlarged > 1 else 1.0
        start = (size - middle) // 2 + (1.0 - scale) / 2
        starts.append(start)
        ends.append(min(start + scale * size, size))
    box = (starts[0], starts[1], ends[0], ends[1])
    return picture.resize(picture.size, Image.Resampling.BILINEAR, box)
