"""Gaussian blur that is exact, so that it gives the same bytes on any machine."""

import numpy as np
from scipy import ndimage

_UNIT = 2**20
"""Weights are counted in 1 / _UNIT, as integers: all sums of both passes fit into 53 bits."""


def gaussian_blur(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Blurs; beyond the border the image goes on as it ends.

    Args:
        image: uint8 [h, w, 3].
        sigma: standard deviation in pixels.
        rng: not used.
    """
    return gaussian_mean(image, sigma).astype(np.uint8)


def gaussian_mean(values: np.ndarray, sigma: float) -> np.ndarray:
    """The Gaussian mean around each place of axes 0 and 1, without rounding errors.

    Whole numbers are weighted by whole numbers, so the mean of equal values is that value, and
    not just below it: cutting off to whole grey levels would take one level from it.

    Args:
        values: whole numbers from 0 to 255, any type, [h, w, ...].
        sigma: standard deviation in pixels; the kernel ends at 4 sigma.

    Returns:
        float64 [h, w, ...].
    """
    reach = int(4 * sigma + 0.5)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights = np.rint(bell / bell.sum() * _UNIT)
    weights[reach] += _UNIT - weights.sum()
    sums = values.astype(np.float64)
    for axis in (0, 1):
        sums = ndimage.correlate1d(sums, weights, axis, mode="nearest")
    return sums / float(_UNIT) ** 2
