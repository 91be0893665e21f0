"""Checks of arrays that are given to the model as they are."""

import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.models.clip.config import VisionConfig
from reex_jax.models.inputs import check_pixels

VISION = VisionConfig(image_size=24, patch_size=8)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((24, 24, 3), np.float32), r"shape \[24, 24, 3\], but .* \[n, 24, 24, 3\]"),
        (np.zeros((2, 3, 24, 24), np.float32), r"takes \[n, 24, 24, 3\] \(channels last\)"),
        (np.zeros((2, 24, 24, 3), np.uint8), "pixels are uint8, but must be float32 and already"),
        (np.full((2, 24, 24, 3), np.nan, np.float32), "pixels of image 0 hold NaN, infinite"),
    ],
)
def test_check_pixels(pixels, message):
    with pytest.raises(UserError, match=message):
        check_pixels(pixels, VISION)
