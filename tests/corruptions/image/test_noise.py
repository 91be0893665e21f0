import numpy as np
import pytest
from scipy import stats

from reex_jax.corruptions.image.kinds import IMAGE_CORRUPTIONS, corrupt_image

SEVERITIES = range(1, 6)


def corrupt(image, kind, severity):
    return corrupt_image(image, kind, severity, item_id="item", seed=0)


def moments(probabilities):
    """Mean and variance of a grey level with the given probabilities of 0..255."""
    levels = np.arange(256)
    mean = np.sum(levels * probabilities)
    return mean, np.sum((levels - mean) ** 2 * probabilities)


def gaussian_levels(level, scale):
    """Probability of each grey level after clipping and cutting off."""
    edges = np.concatenate([[-np.inf], np.arange(1, 256) / 255.0, [np.inf]])
    return np.diff(stats.norm.cdf(edges, level / 255.0, scale))


def shot_levels(level, photons):
    counts = np.arange(1000)
    grey = np.minimum(counts / photons, 1.0) * 255.0
    weights = stats.poisson.pmf(counts, level / 255.0 * photons)
    return np.bincount(grey.astype(int), weights, minlength=256)


def impulse_levels(level, amount):
    probabilities = np.zeros(256)
    probabilities[[0, level, 255]] = (amount / 2, 1 - amount, amount / 2)
    return probabilities


def speckle_levels(level, scale):
    return gaussian_levels(level, scale * level / 255.0)


LEVELS = {
    "gaussian_noise": gaussian_levels,
    "shot_noise": shot_levels,
    "impulse_noise": impulse_levels,
    "speckle_noise": speckle_levels,
}


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("level", [20, 128, 240])
@pytest.mark.parametrize("kind", LEVELS)
def test_noise_has_the_mean_and_variance_of_its_distribution(kind, level, severity):
    noisy = corrupt(np.full((160, 160, 3), level, np.uint8), kind, severity).astype(float)
    constant = IMAGE_CORRUPTIONS[kind].constants[severity - 1]
    mean, variance = moments(LEVELS[kind](level, constant))
    count = noisy.size
    # Five standard errors; those of the variance from the sample's own fourth moment.
    assert abs(noisy.mean() - mean) < 5 * np.sqrt(variance / count)
    fourth = np.mean((noisy - mean) ** 4)
    assert abs(noisy.var() - variance) < 5 * np.sqrt((fourth - variance**2) / count)


@pytest.mark.parametrize("kind", LEVELS)
def test_noise_is_white(kind):
    noise = corrupt(np.full((160, 160, 3), 128, np.uint8), kind, 1) - 128.0
    noise -= noise.mean()
    bound = 5 / np.sqrt(noise.size)
    for axis in range(3):
        neighbours = np.mean(noise * np.roll(noise, 1, axis)) / noise.var()
        assert abs(neighbours) < bound


def test_impulses_are_black_or_white_and_the_rest_stays():
    image = np.full((50, 60, 3), 77, np.uint8)
    assert set(np.unique(corrupt(image, "impulse_noise", 5))) == {0, 77, 255}


def test_speckles_leave_black_black():
    image = np.zeros((20, 20, 3), np.uint8)
    np.testing.assert_array_equal(corrupt(image, "speckle_noise", 5), image)
