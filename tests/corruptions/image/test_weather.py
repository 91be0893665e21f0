"""Snow, frost, fog and spatter: what the comparison of statistics does not show."""

from pathlib import Path

import numpy as np
import pytest

from reex_jax.corruptions.image import fog as image_fog
from reex_jax.corruptions.image import frost as image_frost
from reex_jax.corruptions.image import spatter as image_spatter
from reex_jax.corruptions.image.kinds import IMAGE_CORRUPTIONS, corrupt_image

REFERENCE = Path(__file__).parents[2] / "data/corruptions/reference.npz"


@pytest.fixture(scope="module")
def spatter():
    with np.load(REFERENCE) as arrays:
        return {name: arrays[f"spatter/{name}"] for name in ("levels", "outlines", "equalised")}


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def corrupt(image, kind, severity, seed=0):
    return corrupt_image(image, kind, severity, item_id="item", seed=seed)


@pytest.mark.parametrize("severity", [1, 5])
def test_snow_falls_from_both_sides(severity):
    snowed = corrupt(np.zeros((70, 91, 3), np.uint8), "snow", severity)
    assert len(np.unique(snowed)) > 20
    np.testing.assert_array_equal(snowed, snowed[::-1, ::-1])


def test_fog_leaves_black_black_and_takes_its_share_of_contrast():
    black = np.zeros((30, 40, 3), np.uint8)
    np.testing.assert_array_equal(corrupt(black, "fog", 5), black)
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    for severity, (light, _) in enumerate(IMAGE_CORRUPTIONS["fog"].constants, 1):
        foggy = corrupt(stripes, "fog", severity).astype(int)
        assert np.abs(np.diff(foggy, axis=1)).mean() == pytest.approx(255 / (1 + light), rel=0.02)


@pytest.mark.parametrize(("size", "side"), [(1, 4), (4, 4), (5, 8), (224, 256), (256, 256)])
def test_clouds_fill_the_next_power_of_two_and_the_unit_interval(size, side):
    clouds = image_fog._clouds(size, 2.0, rng())
    assert clouds.shape == (side, side)
    assert clouds.min() == 0.0
    assert clouds.max() == 1.0


def test_clouds_have_as_much_detail_as_their_decay_allows():
    """A new point differs from the mean of its neighbours by a uniform number of known range."""
    size, decay = 256, 1.5
    clouds = image_fog._clouds(size, decay, rng())
    corners = clouds[::2, ::2]
    mean = sum(np.roll(corners, shift, (0, 1)) for shift in ((0, 0), (-1, 0), (0, -1), (-1, -1)))
    fine = np.abs(clouds[1::2, 1::2] - mean / 4).max()
    corners = clouds[::4, ::4]
    mean = sum(np.roll(corners, shift, (0, 1)) for shift in ((0, 0), (-1, 0), (0, -1), (-1, -1)))
    coarse = np.abs(clouds[2::4, 2::4] - mean / 4).max()
    assert coarse / fine == pytest.approx(decay**2, rel=0.01)


@pytest.mark.parametrize("size", [64, 224])
def test_each_octave_of_frost_has_variance_one(size):
    frequency = np.hypot(np.fft.fftfreq(size)[:, np.newaxis], np.fft.fftfreq(size))
    windows = np.hanning(size)[:, np.newaxis] * np.hanning(size)
    windows /= np.sqrt(np.mean(windows**2))
    power = np.zeros((size, size))
    for seed in range(20):
        pattern = image_frost._crystals(size, size, rng(seed))
        power += np.abs(np.fft.fft2(windows * (pattern - pattern.mean()))) ** 2 / size**4 / 20
    for low in (1 / 16, 1 / 8, 1 / 4):
        octave = power[(frequency >= low) & (frequency < 2 * low)].sum()
        assert 0.8 < octave < 1.25


def test_frost_larger_than_a_small_image_shifts_its_level():
    levels = [image_frost._crystals(64, 64, rng(seed)).mean() for seed in range(200)]
    # log2(512 / 64) octaves, and some of the image's own lowest frequencies.
    assert 3.0**0.5 < np.std(levels) < 1.5 * 3.0**0.5


def test_frost_has_needles():
    """Along its needle a crystal changes less than across it."""
    pattern = image_frost._crystals(224, 224, rng())
    ratios = []
    for top in range(0, 224, 32):
        for left in range(0, 224, 32):
            down, right = np.gradient(pattern[top : top + 32, left : left + 32])
            tensor = np.cov(down.ravel(), right.ravel())
            small, large = np.linalg.eigvalsh(tensor)
            ratios.append(large / small)
    assert np.median(ratios) > 3


def test_outlines_of_drops_are_those_of_opencv(spatter):
    outlines = image_spatter._outlines(spatter["levels"], 50, 150)
    assert 200 < spatter["outlines"].sum() < outlines.size / 2
    np.testing.assert_array_equal(outlines, spatter["outlines"])


def test_equalised_levels_are_those_of_opencv(spatter):
    equalised = image_spatter._equalise(spatter["levels"])
    np.testing.assert_array_equal(equalised, spatter["equalised"])
    np.testing.assert_array_equal(
        image_spatter._equalise(np.full((3, 4), 9, np.uint8)), np.full((3, 4), 9)
    )


def test_mud_covers_in_its_colour_and_leaves_the_rest():
    image = np.full((64, 64, 3), 200, np.uint8)
    muddy = corrupt(image, "spatter", 5)
    colours = set(map(tuple, muddy.reshape(-1, 3).tolist()))
    assert (63, 42, 20) in colours
    assert np.mean(np.all(muddy == 200, axis=2)) > 0.5


def test_without_a_drop_nothing_changes():
    image = np.full((30, 30, 3), 200, np.uint8)
    dry = (0.0, 0.1, 2, 0.9, 0.6, False)
    np.testing.assert_array_equal(image_spatter.spatter(image, dry, rng()), image)
