"""Blurs against direct and slow ways to the same."""

import math

import numpy as np
import pytest
from scipy import ndimage

from reex_jax.corruptions.image import blur as image_blur
from reex_jax.corruptions.image import gaussian as image_gaussian
from reex_jax.corruptions.image import glass as image_glass
from reex_jax.corruptions.image import motion as image_motion
from reex_jax.corruptions.image.kinds import IMAGE_CORRUPTIONS


def texture(height, width):
    y, x, channel = np.mgrid[:height, :width, :3]
    return ((y * 7 + x * 3 + channel * 50 + (y // 8 + x // 8) % 2 * 90) % 256).astype(np.uint8)


def even(height, width):
    return np.full((height, width, 3), (7, 100, 255), np.uint8)


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


@pytest.mark.parametrize(
    ("kind", "severities"),
    [
        # The two largest discs do not sum to one, there as here.
        ("defocus_blur", (1, 2, 3)),
        ("gaussian_blur", (1, 2, 3, 4, 5)),
        ("glass_blur", (1, 2, 3, 4, 5)),
        ("motion_blur", (1, 2, 3, 4, 5)),
        ("zoom_blur", (1, 2, 3, 4, 5)),
    ],
)
def test_an_even_area_stays_even(kind, severities):
    for severity in severities:
        corruption = IMAGE_CORRUPTIONS[kind]
        blurred = corruption.apply(even(20, 30), corruption.constants[severity - 1], rng())
        np.testing.assert_array_equal(blurred, even(20, 30))


def test_defocus_equals_a_direct_convolution():
    radius, rim = IMAGE_CORRUPTIONS["defocus_blur"].constants[1]
    y, x = np.mgrid[-8:9, -8:9]
    disc = (x**2 + y**2 <= radius**2).astype(float)
    disc = ndimage.gaussian_filter(disc / disc.sum(), rim, mode="mirror", radius=1)
    image = texture(40, 50)
    direct = ndimage.convolve(image.astype(float), disc[:, :, np.newaxis], mode="mirror")
    blurred = image_blur.defocus_blur(image, (radius, rim), rng())
    assert np.abs(blurred - (direct - 0.5)).max() < 0.51


@pytest.mark.parametrize("sigma", [0.7, 1.5, 6])
def test_gaussian_equals_that_of_scipy(sigma):
    image = texture(40, 50)
    direct = ndimage.gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="nearest")
    assert np.abs(image_gaussian.gaussian_mean(image, sigma) - direct).max() < 0.01
    blurred = image_gaussian.gaussian_blur(image, sigma, rng())
    assert np.abs(blurred - (direct - 0.5)).max() < 0.51


@pytest.mark.parametrize(("height", "width"), [(23, 31), (9, 60), (2, 2), (10, 10)])
@pytest.mark.parametrize("reach", [1, 2, 4])
def test_glass_sweeps_as_the_loop_over_pixels_does(height, width, reach):
    image = texture(height, width)
    swept = image_glass._sweep(image, reach, rng(3))

    rows = range(reach + 1, height - reach + 1)
    columns = range(reach + 1, width - reach + 1)
    steps = rng(3).random((2, len(rows) * len(columns))) * 2 * reach // 1 - reach
    steps = steps.astype(int).reshape(2, len(rows), len(columns))
    looped = image.copy()
    for h in reversed(rows):
        for w in reversed(columns):
            dy, dx = steps[:, h - reach - 1, w - reach - 1]
            looped[h, w], looped[h + dy, w + dx] = looped[h + dy, w + dx], looped[h, w]
    np.testing.assert_array_equal(swept, looped)


def test_glass_moves_reach_as_far_as_they_may():
    image = texture(64, 64)
    moved = image_glass._sweep(image, 4, rng())
    assert np.mean(np.any(moved != image, axis=2)[5:-3, 5:-3]) > 0.9
    np.testing.assert_array_equal(moved[:5], image[:5])
    np.testing.assert_array_equal(moved[-3:], image[-3:])


@pytest.mark.parametrize("angle", [0.0, 30.0, -45.0, 90.0, -135.0])
@pytest.mark.parametrize(("height", "width"), [(40, 50), (5, 7)])
def test_smear_equals_a_sum_of_moved_copies(height, width, angle):
    radius, sigma = 10, 4.0
    image = texture(height, width).astype(float)
    weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    total = np.zeros_like(image)
    for distance, weight in enumerate(weights / weights.sum()):
        dy = math.ceil(distance * math.sin(math.radians(angle)) - 0.5)
        dx = math.ceil(distance * math.cos(math.radians(angle)) - 0.5)
        rows = np.clip(np.arange(height) + dy, 0, height - 1)
        columns = np.clip(np.arange(width) + dx, 0, width - 1)
        total += weight * image[rows][:, columns]
    smeared = image_motion.smear(image, radius, sigma, angle)
    assert np.abs(smeared - total).max() < 0.05


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("height", "width"), [(40, 53), (64, 64), (9, 1)])
def test_zoom_equals_the_mean_of_enlarged_middles(height, width, severity):
    count, step = IMAGE_CORRUPTIONS["zoom_blur"].constants[severity - 1]
    image = texture(height, width)
    total = image.astype(float)
    for index in range(count):
        factor = 1 + index * step
        middle = [math.ceil(side / factor) for side in (height, width)]
        top, left = (height - middle[0]) // 2, (width - middle[1]) // 2
        part = image[top : top + middle[0], left : left + middle[1]].astype(float)
        total += ndimage.zoom(part, (factor, factor, 1), order=1)[:height, :width]
    blurred = image_motion.zoom_blur(image, (count, step), rng())
    assert np.abs(blurred - (total / (count + 1) - 0.5)).max() < 1.0
