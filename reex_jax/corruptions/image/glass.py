"""Frosted glass."""

import numpy as np

from reex_jax.corruptions.image.gaussian import gaussian_blur


def glass_blur(
    image: np.ndarray, glass: tuple[float, int, int], rng: np.random.Generator
) -> np.ndarray:
    """Moves pixels about between two Gaussian blurs.

    Args:
        image: uint8 [h, w, 3].
        glass: standard deviation of both blurs in pixels, longest move in pixels, sweeps.
        rng: source of the moves.
    """
    sigma, reach, sweeps = glass
    moved = gaussian_blur(image, sigma, rng)
    for _ in range(sweeps):
        moved = _sweep(moved, reach, rng)
    return gaussian_blur(moved, sigma, rng)


def _sweep(image: np.ndarray, reach: int, rng: np.random.Generator) -> np.ndarray:
    """Each pixel inside takes the value of one at most `reach` away, one pixel after the other.

    ImageNet-C goes through the image from its last pixel to its first, and means to exchange
    values; but NumPy's `a[i], a[j] = a[j], a[i]` copies for pixels of three channels, since both
    sides are views. So a pixel copies one that was copied before it, if that one comes later in
    the image, and else one that is still as it was. Instead of 50,000 steps in order, all pixels
    follow their chain of copies at once; each round doubles how far, so a few rounds suffice.
    """
    height, width, channels = image.shape
    places = np.arange(height * width).reshape(height, width)
    inside = places[reach + 1 : height - reach + 1, reach + 1 : width - reach + 1].ravel()
    # From -reach to reach - 1 as there; the last row and column thus need no check.
    steps = (rng.random((2, inside.size)) * (2 * reach)).astype(np.int64) - reach
    source = places.ravel().copy()
    source[inside] += steps[0] * width + steps[1]
    # Whom a pixel copies after that one was changed itself: those that come later, if inside.
    moves = np.zeros(height * width, bool)
    moves[inside] = True
    open_ends = inside[(source[inside] > inside) & moves[source[inside]]]
    ends = np.ones(height * width, bool)
    ends[open_ends] = False
    while open_ends.size:
        via = source[open_ends]
        source[open_ends], closed = source[via], ends[via]
        ends[open_ends] = closed
        open_ends = open_ends[~closed]
    return image.reshape(-1, channels)[source].reshape(image.shape)
