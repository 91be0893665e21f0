"""Noise of the sensor and of the light."""

import numpy as np

from reex_jax.corruptions.grey_levels import to_bytes


def gaussian_noise(image: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Adds normal noise, independent for each pixel and channel.

    Args:
        image: uint8 [h, w, 3].
        scale: standard deviation, as a share of the full range.
        rng: source of the noise.
    """
    return to_bytes(image / 255.0 + scale * rng.standard_normal(image.shape))


def shot_noise(image: np.ndarray, photons: float, rng: np.random.Generator) -> np.ndarray:
    """Counts light in discrete photons: Poisson noise for each pixel and channel.

    Args:
        image: uint8 [h, w, 3].
        photons: expected count of a white pixel.
        rng: source of the noise.
    """
    return to_bytes(rng.poisson(image / 255.0 * photons) / float(photons))
