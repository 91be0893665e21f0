"""Drops of water or of mud on the lens."""

import numpy as np
from scipy import ndimage

from reex_jax.corruptions.image.gaussian import gaussian_mean

_WATER = np.array([175.0, 238.0, 238.0])
_MUD = np.array([63.0, 42.0, 20.0])
_LIGHT = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])


def spatter(
    image: np.ndarray,
    drops: tuple[float, float, float, float, float, bool],
    rng: np.random.Generator,
) -> np.ndarray:
    """Puts drops on the image.

    Args:
        image: uint8 [h, w, 3].
        drops: mean and standard deviation of the field of drops, its smoothness in pixels, the
            value from which on there is a drop; for water the strength, for mud the smoothness of
            its rim in pixels; whether it is mud.
        rng: source of the drops.
    """
    mean, deviation, sigma, least, strength, mud = drops
    field = mean + deviation * rng.standard_normal(image.shape[:2])
    field = ndimage.gaussian_filter(field, sigma, mode="nearest")
    wet = field >= least
    if mud:
        cover = gaussian_mean(wet, strength)
        cover = np.where(cover < 0.8, 0.0, cover)[..., np.newaxis]
        return (image * (1.0 - cover) + _MUD * cover).astype(np.uint8)
    levels = np.where(wet, field * 255.0, 0.0).astype(np.uint8)
    shine = levels * _relief(levels)
    if shine.max() > 0:
        shine *= strength / shine.max()
    return np.minimum(image + shine[..., np.newaxis] * _WATER, 255.0).astype(np.uint8)


def _relief(levels: np.ndarray) -> np.ndarray:
    """How drops of water reflect light from one side: whole numbers 0..255 as float64 [h, w]."""
    outline = _outlines(levels, 50, 150)
    depth = ndimage.distance_transform_edt(~outline) if outline.any() else np.inf
    depth = np.broadcast_to(np.minimum(depth, 20.0), levels.shape)
    depth = _equalise(_mean_of_nine(depth).astype(np.uint8))
    light = ndimage.correlate(depth.astype(np.float64), _LIGHT, mode="mirror")
    return np.rint(_mean_of_nine(np.clip(light, 0.0, 255.0)))


def _mean_of_nine(values: np.ndarray) -> np.ndarray:
    # Not `ndimage.uniform_filter`: its running sum drifts, and turns an even 20 into 19.99...
    for axis in (0, 1):
        values = ndimage.correlate1d(values, np.ones(3), axis, mode="mirror")
    return values / 9.0


def _outlines(levels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Canny's edges of uint8 [h, w]: bool [h, w].

    Slopes are those of Sobel, their size the sum of both absolute values. An edge is the highest
    place across it; it counts if it, or an edge that it is joined to, is above `high`.
    """
    values = levels.astype(np.int64)
    across, down = (ndimage.sobel(values, axis, mode="nearest") for axis in (1, 0))
    size = np.abs(across) + np.abs(down)
    padded = np.pad(size, 1)
    height, width = size.shape

    def beside(y: int, x: int) -> np.ndarray:
        return padded[1 + y : 1 + y + height, 1 + x : 1 + x + width]

    flat = np.abs(down) < np.tan(np.pi / 8) * np.abs(across)
    steep = np.abs(down) > np.tan(3 * np.pi / 8) * np.abs(across)
    falling = (across < 0) != (down < 0)
    highest = np.select(
        [flat, steep, falling],
        [
            (size > beside(0, -1)) & (size >= beside(0, 1)),
            (size > beside(-1, 0)) & (size >= beside(1, 0)),
            (size > beside(-1, 1)) & (size > beside(1, -1)),
        ],
        (size > beside(-1, -1)) & (size > beside(1, 1)),
    )
    edges = highest & (size > low)
    joined, count = ndimage.label(edges, np.ones((3, 3)))
    strong = np.zeros(count + 1, bool)
    strong[joined[edges & (size > high)]] = True
    return strong[joined]


def _equalise(levels: np.ndarray) -> np.ndarray:
    """Spreads grey levels so that each is about as common: uint8 [h, w]; an even area stays."""
    counts = np.bincount(levels.ravel(), minlength=256)
    above = np.cumsum(counts) - counts[np.flatnonzero(counts)[0]]
    if above[-1] == 0:
        return levels
    return np.rint(np.maximum(above, 0) * (255.0 / above[-1])).astype(np.uint8)[levels]
