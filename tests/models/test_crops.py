"""Crops that are normalised on the device are what the host would have made of them."""

import jax
import numpy as np
import pytest
from PIL import Image

from reex_jax.errors import UserError
from reex_jax.models.crops import check_crops, is_crops, normalise_crops
from reex_jax.models.preprocess import Preprocessing, crop_image, preprocess_image

SETTINGS = Preprocessing(16)


@pytest.fixture(scope="module")
def images():
    drawn = np.random.default_rng(0).integers(0, 256, (3, 20, 31, 3), dtype=np.uint8)
    return [Image.fromarray(one) for one in drawn]


@pytest.mark.parametrize("mode", ["clip", "tcr"])
def test_normalised_on_the_device_or_on_the_host(images, mode):
    settings = Preprocessing(16, mode=mode)
    crops = np.stack([crop_image(image, settings) for image in images])
    assert crops.shape == (3, 16, 16, 3) and crops.dtype == np.uint8 and is_crops(crops)
    found = jax.jit(lambda x: normalise_crops(x, settings))(crops)
    wanted = np.stack([preprocess_image(image, settings) for image in images])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
    assert not is_crops(wanted)


def test_crops_of_another_size_are_refused():
    with pytest.raises(UserError, match=r"shape \[1, 8, 8, 3\], but this model takes \[n, 16, 16"):
        check_crops(np.zeros((1, 8, 8, 3), np.uint8), SETTINGS)
