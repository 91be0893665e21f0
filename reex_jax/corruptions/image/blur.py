"""Loss of sharpness in the lens."""

import numpy as np
from scipy import fft, ndimage

_UNIT = 2**24
"""Kernel weights are counted in 1 / _UNIT, as integers: so a blur is exact (`_blur_exactly`)."""


def defocus_blur(
    image: np.ndarray, disc: tuple[int, float], rng: np.random.Generator
) -> np.ndarray:
    """Spreads each pixel over a disc; the image is mirrored at its border.

    Args:
        image: uint8 [h, w, 3].
        disc: radius in pixels, and standard deviation in pixels of the softening of its rim.
        rng: not used.
    """
    return _blur_exactly(image, _disc_kernel(*disc))


def _disc_kernel(radius: int, rim: float) -> np.ndarray:
    """Integer weights [2r + 1, 2r + 1] in units of 1 / _UNIT, r the larger of radius and 8.

    Radius 8 and 10 fill the square, and there the softening, mirrored at the square's border,
    changes the sum of the weights by about 1 %. ImageNet-C leaves it so, and so do we.
    """
    reach = max(radius, 8)
    axis = np.arange(-reach, reach + 1)
    disc = (np.add.outer(axis**2, axis**2) <= radius**2).astype(float)
    disc /= disc.sum()
    taps = np.arange(-1, 2) if radius <= 8 else np.arange(-2, 3)
    softening = np.exp(-(taps**2) / (2.0 * rim**2))
    for side in (0, 1):
        disc = ndimage.correlate1d(disc, softening / softening.sum(), side, mode="mirror")
    kernel = np.rint(disc * _UNIT)
    kernel[reach, reach] += round(disc.sum() * _UNIT) - kernel.sum()
    return kernel


def _blur_exactly(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolves uint8 [h, w, 3] with a square kernel of integers, cut off to whole grey levels.

    A Fourier transform errs by some 1e-6 and differs in its last bits between machines. Since
    the true sums are integers, rounding makes them exact; without it an even area would fall to
    the next lower grey level here, and stay there.
    """
    reach = len(kernel) // 2
    height, width, _ = image.shape
    edges = ((0, 0), (reach, reach), (reach, reach))
    padded = np.pad(image.transpose(2, 0, 1).astype(float), edges, mode="reflect")
    # The transform's wrap-around only reaches the part that is cut away below.
    shape = [fft.next_fast_len(side, real=True) for side in padded.shape[1:]]
    spectrum = fft.rfft2(padded, shape) * fft.rfft2(kernel, shape)[np.newaxis]
    sums = np.rint(fft.irfft2(spectrum, shape))
    sums = sums[:, 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]
    levels = np.minimum(sums // _UNIT, 255.0).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))
