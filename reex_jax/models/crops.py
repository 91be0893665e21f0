"""Pixels that come to the device as bytes and are normalised there, a quarter of the transfer."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, UInt8

from reex_jax.errors import UserError
from reex_jax.models.preprocess import Preprocessing


def is_crops(pixels: ArrayLike) -> bool:
    """Whether pixels are bytes, as `crop_image` makes them, and not normalised yet."""
    return getattr(pixels, "dtype", None) == np.uint8


def check_crops(crops: ArrayLike, preprocessing: Preprocessing) -> np.ndarray:
    """Crops [n, image_size, image_size, 3] uint8 on the host.

    Raises:
        UserError: another shape.
    """
    array, size = np.asarray(jax.device_get(crops)), preprocessing.image_size
    if array.ndim != 4 or array.shape[1:] != (size, size, 3):
        raise UserError(
            f"pixels have shape {list(array.shape)}, but this model takes [n, {size}, {size}, 3] "
            "(channels last)"
        )
    return array


def normalise_crops(
    crops: UInt8[Array, "batch height width 3"], preprocessing: Preprocessing
) -> Float[Array, "batch height width 3"]:
    """What `preprocess_image` makes of the same crops, up to the last bit; may be traced."""
    mean, std = (jnp.asarray(x, jnp.float32) for x in (preprocessing.mean, preprocessing.std))
    return (crops.astype(jnp.float32) / 255 - mean[None, None, None]) / std[None, None, None]
