"""The parts of a query in random order: squares of a picture, tokens of a text (for DeYO)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, Shaped

from reex_jax.adaptation.masked import per_row_keys

GRID = 4  # squares a side; DeYO's patch_len


def shuffle_patches(
    pixels: Shaped[Array, "height width channels"], key: Key[Array, ""]
) -> Shaped[Array, "height width channels"]:
    """Moves the squares of a 4 x 4 grid to random places.

    Pixels beyond the largest multiple of 4 stay where they are.
    """
    height, width, channels = pixels.shape
    h, w = height // GRID, width // GRID
    whole = pixels[: h * GRID, : w * GRID]
    squares = whole.reshape(GRID, h, GRID, w, channels).swapaxes(1, 2)
    squares = squares.reshape(GRID * GRID, h, w, channels)
    moved = jax.random.permutation(key, squares, axis=0).reshape(GRID, GRID, h, w, channels)
    moved = moved.swapaxes(1, 2).reshape(h * GRID, w * GRID, channels)
    return pixels.at[: h * GRID, : w * GRID].set(moved)


def shuffle_between(
    ids: Int[Array, " length"], first: Int[Array, ""], end: Int[Array, ""], key: Key[Array, ""]
) -> Int[Array, " length"]:
    """Shuffles the tokens from position `first` up to, and without, position `end`.

    The result does not depend on the padding behind.
    """
    at = jnp.arange(ids.shape[0], dtype=jnp.int32)
    inside = (at >= first) & (at < end)
    draws = jax.vmap(jax.random.uniform)(per_row_keys(key, ids.shape[0]))
    # Draws lie in 0..1: what stands before sorts below them, what stands behind above.
    outside = jnp.where(at < first, at - ids.shape[0], at + 2).astype(jnp.float32)
    return ids[jnp.argsort(jnp.where(inside, draws, outside))]
