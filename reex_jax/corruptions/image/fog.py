"""Fog."""

import numpy as np

from reex_jax.corruptions.image.grey_levels import to_bytes


def fog(image: np.ndarray, haze: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Adds clouds of light and scales back, so that the brightest possible value stays.

    Args:
        image: uint8 [h, w, 3].
        haze: light of the densest cloud as a share of the full range, and how much smaller each
            finer detail of the clouds is.
        rng: source of the clouds.
    """
    light, decay = haze
    height, width, _ = image.shape
    clouds = _clouds(max(height, width), decay, rng)[:height, :width, np.newaxis]
    unit = image / 255.0
    brightest = float(unit.max())
    return to_bytes((unit + light * clouds) * (brightest / (brightest + light)))


def _clouds(size: int, decay: float, rng: np.random.Generator) -> np.ndarray:
    """A height map in [0, 1] by diamonds and squares, periodic, square, of at least `size`.

    Each round doubles the grid: a new point gets the mean of its four neighbours and a uniform
    number whose range shrinks by `decay` squared from round to round (Fournier et al. 1982; the
    square is ImageNet-C's).
    """
    heights = np.zeros((1, 1))
    amplitude = 1.0
    while len(heights) < max(size, 4):
        right, below = np.roll(heights, -1, 1), np.roll(heights, -1, 0)
        centres = heights + right + below + np.roll(right, -1, 0)
        centres = centres / 4 + amplitude * rng.uniform(-1.0, 1.0, heights.shape)
        across = heights + right + centres + np.roll(centres, 1, 0)
        down = heights + below + centres + np.roll(centres, 1, 1)
        finer = np.empty((2 * len(heights), 2 * len(heights)))
        finer[::2, ::2] = heights
        finer[1::2, 1::2] = centres
        finer[::2, 1::2] = across / 4 + amplitude * rng.uniform(-1.0, 1.0, heights.shape)
        finer[1::2, ::2] = down / 4 + amplitude * rng.uniform(-1.0, 1.0, heights.shape)
        heights = finer
        amplitude /= decay**2
    heights -= heights.min()
    return heights / heights.max()
