"""Light and weather."""

import numpy as np


def brightness(image: np.ndarray, gain: float, rng: np.random.Generator) -> np.ndarray:
    """Raises the value of every pixel in HSV space, up to full; hue and saturation stay.

    Value is the largest channel, and at a fixed hue and saturation all channels are proportional
    to it, so the way to HSV and back is one factor for each pixel. Black has no hue: it turns
    grey. Counted in half grey levels, all of it is integer arithmetic, hence exact.

    Args:
        image: uint8 [h, w, 3].
        gain: what is added to the value, as a share of the full range.
        rng: not used.
    """
    added = round(2 * 255 * gain)
    value = image.max(axis=2, keepdims=True).astype(np.int32)
    raised = np.minimum(2 * value + added, 2 * 255)
    colour = image * raised // np.maximum(2 * value, 1)
    return np.where(value == 0, raised // 2, colour).astype(np.uint8)
