import colorsys

import numpy as np
import pytest
from scipy import ndimage

from reex_jax.corruptions.image import digital as image_digital
from reex_jax.corruptions.image import elastic as image_elastic
from reex_jax.corruptions.image.kinds import IMAGE_CORRUPTIONS


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_saturation_changes_as_in_hsv_space(severity):
    factor, added = IMAGE_CORRUPTIONS["saturate"].constants[severity - 1]
    image = rng().integers(0, 256, (12, 12, 3), np.uint8)
    image[0] = image[0, :, :1]  # grey
    image[1] = 0
    expected = np.empty(image.shape)
    for place in np.ndindex(12, 12):
        hue, saturation, value = colorsys.rgb_to_hsv(*(image[place] / 255.0))
        saturation = min(saturation * factor / 10 + added / 10, 1.0)
        expected[place] = 255 * np.array(colorsys.hsv_to_rgb(hue, saturation, value))
    saturated = image_digital.saturate(image, (factor, added), rng())
    assert np.abs(saturated - (expected - 0.5)).max() < 0.51


def test_saturation_times_one_is_the_image():
    image = rng().integers(0, 256, (40, 40, 3), np.uint8)
    np.testing.assert_array_equal(image_digital.saturate(image, (10, 0), rng()), image)


def test_elastic_samples_as_scipy_does():
    image = rng().integers(0, 256, (20, 31, 3), np.uint8)
    # Far outside too: small images under strong fields need several reflections.
    y = rng(1).uniform(-70, 90, (20, 31))
    x = rng(2).uniform(-70, 90, (20, 31))
    sampled = image_elastic._sample(image, y, x)
    for channel in range(3):
        expected = ndimage.map_coordinates(
            image[..., channel].astype(float), [y, x], order=1, mode="reflect"
        )
        assert np.abs(sampled[..., channel] - (expected - 0.5)).max() < 0.51


def test_an_unmoved_sheet_of_rubber_is_the_image():
    image = rng().integers(0, 256, (20, 31, 3), np.uint8)
    np.testing.assert_array_equal(image_elastic.elastic_transform(image, 0.0, rng()), image)


def test_elastic_displacements_have_the_size_of_a_smoothed_uniform_field():
    """On a ramp the displacement can be read off."""
    size, strength = 200, 12.5
    ramp = np.repeat(np.arange(size, dtype=np.uint8)[:, np.newaxis], size, axis=1)
    image = np.repeat(ramp[..., np.newaxis], 3, axis=2)
    moved = image_elastic.elastic_transform(image, strength, rng()).astype(float)
    shift = (moved - image + 0.5)[20:-20, 20:-20, 0]
    # Of a uniform number in [-1, 1], averaged with a Gaussian of standard deviation 2.
    expected = strength * 1.0 / np.sqrt(3) / (2 * np.sqrt(np.pi) * 2)
    assert np.sqrt(np.mean(shift**2) - 1 / 12) == pytest.approx(expected, rel=0.1)
