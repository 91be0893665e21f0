"""Snow."""

import numpy as np
from scipy import ndimage

from reex_jax.corruptions.image.grey_levels import to_bytes
from reex_jax.corruptions.image.motion import smear


def snow(
    image: np.ndarray,
    fall: tuple[float, float, float, float, int, float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Whitens the image and adds falling flakes, and the same flakes turned by 180 degrees.

    Args:
        image: uint8 [h, w, 3].
        fall: mean and standard deviation of the field of flakes, their size in pixels, the value
            from which on there is a flake, half the length and the weights' standard deviation of
            its fall in pixels (`smear`), and the share of the image that is not whitened.
        rng: source of the flakes and of the direction in which they fall.
    """
    mean, deviation, size, least, radius, sigma, share = fall
    unit = image / 255.0
    # Not a matrix product, whose last bits depend on the machine.
    grey = 0.299 * unit[..., :1] + 0.587 * unit[..., 1:2] + 0.114 * unit[..., 2:]
    whitened = share * unit + (1.0 - share) * np.maximum(unit, 1.5 * grey + 0.5)
    height, width, _ = image.shape
    # Only the middle of the field is enlarged to the image's size; the rest need not be drawn.
    middle = (int(np.ceil(height / size)), int(np.ceil(width / size)))
    flakes = ndimage.zoom(mean + deviation * rng.standard_normal(middle), size, order=1)
    flakes = np.where(flakes < least, 0.0, np.minimum(flakes, 1.0))
    flakes = smear(flakes, radius, sigma, rng.uniform(-135.0, -45.0))[:height, :width]
    flakes = (np.rint(255.0 * flakes.astype(np.float64)) / 255.0)[..., np.newaxis]
    return to_bytes(whitened + flakes + flakes[::-1, ::-1])
