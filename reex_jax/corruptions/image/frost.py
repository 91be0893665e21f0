"""Frost on the lens, drawn by code: ImageNet-C does not state its photographs' licence."""

import math

import numpy as np
from scipy import fft

_PHOTOGRAPHS = (
    ((78, 149, 166), (6.7, 4.2, 4.0)),
    ((201, 205, 214), (6.7, 6.8, 7.0)),
    ((201, 205, 214), (6.7, 6.8, 7.0)),
    ((138, 153, 165), (9.6, 9.7, 10.1)),
    ((112, 123, 135), (13.0, 12.9, 12.7)),
    ((71, 95, 105), (9.7, 11.7, 14.1)),
)
"""What was measured on the six photographs, of which two are the same: mean of red, green, blue,
and the standard deviation that one octave of frequencies adds (about the same for each octave)."""

_DIRECTIONS = 6
_SPREAD = 0.25
"""Standard deviation of the direction of needles within a crystal, in radians."""
_CRYSTAL = 48
"""Distance of crystals in pixels, about; in large images they are larger."""
_MOST_CRYSTALS = 40
_LARGEST = 512
"""Size of a photograph in pixels, about: larger structures do not exist."""


def frost(image: np.ndarray, mix: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Adds frost to a darkened image.

    Args:
        image: uint8 [h, w, 3].
        mix: shares of the image and of the frost.
        rng: source of the frost.
    """
    share, ice = mix
    mean, deviation = _PHOTOGRAPHS[int(rng.random() * len(_PHOTOGRAPHS))]
    height, width, _ = image.shape
    pattern = _crystals(height, width, rng)[..., np.newaxis]
    frozen = np.clip(np.rint(np.array(mean) + np.array(deviation) * pattern), 0.0, 255.0)
    return np.minimum(share * image + ice * frozen, 255.0).astype(np.uint8)


def _crystals(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Needles, in each crystal along one direction: float64 [h, w]; each octave has variance 1.

    Noise whose power falls with the square of the frequency, as that of the photographs does, is
    split by direction; each crystal shows one direction. An image is a small part of the frost:
    what is larger than it is a shift of its level.
    """
    shape = [fft.next_fast_len(max(side, 64), real=True) for side in (height, width)]
    spectrum = fft.rfft2(rng.standard_normal(shape))
    down, right = fft.fftfreq(shape[0])[:, np.newaxis], fft.rfftfreq(shape[1])
    frequency = np.hypot(down, right)
    frequency[0, 0] = np.inf
    angle = np.arctan2(down, right)
    # The integral of (unit / frequency)^2 over an octave and over the spread of directions is 1.
    unit = 1.0 / math.sqrt(2.0 * math.sqrt(math.pi) * math.log(2.0) * _SPREAD)
    needles = np.empty((_DIRECTIONS, height, width))
    for index in range(_DIRECTIONS):
        away = np.mod(angle - np.pi * index / _DIRECTIONS + np.pi / 2, np.pi) - np.pi / 2
        band = unit * np.exp(-0.5 * (away / _SPREAD) ** 2) / frequency
        needles[index] = fft.irfft2(spectrum * band, shape)[:height, :width]
    crystal = _nearest(height, width, rng) % _DIRECTIONS
    pattern = np.take_along_axis(needles, crystal[np.newaxis], axis=0)[0]
    # Photographs have more bright needles than dark gaps.
    octaves = math.log2(max(shape)) - 1.0
    pattern = (pattern + 0.25 * (pattern**2 - octaves) / math.sqrt(octaves)) / math.sqrt(1.125)
    larger = max(math.log2(_LARGEST / max(shape)), 0.0)
    return pattern + math.sqrt(larger) * rng.standard_normal()


def _nearest(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """For each pixel the number of the nearest of some random places: int64 [h, w]."""
    count = min(height * width // _CRYSTAL**2, _MOST_CRYSTALS - 2) + 2
    nearest = np.zeros((height, width), np.int64)
    least = np.full((height, width), np.inf)
    for index, (y, x) in enumerate(rng.random((count, 2)) * (height, width)):
        distance = np.add.outer((np.arange(height) - y) ** 2, (np.arange(width) - x) ** 2)
        nearest[distance < least] = index
        np.minimum(least, distance, out=least)
    return nearest
