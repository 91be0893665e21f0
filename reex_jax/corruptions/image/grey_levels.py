"""From the unit interval, in which ImageNet-C computes, back to bytes."""

import numpy as np


def to_bytes(unit: np.ndarray) -> np.ndarray:
    """Floats of any shape, clipped to [0, 1], as uint8 of 0..255, cut off and not rounded.

    ImageNet-C ends each corruption with `np.uint8(np.clip(x, 0, 1) * 255)`, which cuts off.
    """
    return (np.clip(unit, 0.0, 1.0) * 255.0).astype(np.uint8)
