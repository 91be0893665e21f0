"""Noise of the sensor, of the light, and of single bits."""

import numpy as np

from reex_jax.corruptions.image.grey_levels import to_bytes


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


def impulse_noise(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Sets values to 0 or to 255, each as likely ("salt and pepper", for each channel alone).

    Args:
        image: uint8 [h, w, 3].
        amount: the share of values that are set.
        rng: chooses them.
    """
    chance = rng.random(image.shape)
    extreme = np.where(chance < amount / 2, np.uint8(0), np.uint8(255))
    return np.where(chance < amount, extreme, image)


def speckle_noise(image: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Adds normal noise in proportion to the value: black stays black.

    Args:
        image: uint8 [h, w, 3].
        scale: standard deviation, as a share of the value.
        rng: source of the noise.
    """
    unit = image / 255.0
    return to_bytes(unit + unit * (scale * rng.standard_normal(image.shape)))
