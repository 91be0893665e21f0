"""Statistics over the real rows of a padded batch.

Padding repeats real rows, so every value here is finite before the mask removes it.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, Key


def masked_mean(
    values: Float[Array, " batch *rest"], mask: Bool[Array, " batch"]
) -> Float[Array, "*rest"]:
    """Mean over rows where `mask` holds, 0 where it holds nowhere."""
    weights = mask.astype(values.dtype).reshape(mask.shape + (1,) * (values.ndim - 1))
    return (values * weights).sum(axis=0) / jnp.maximum(mask.sum(), 1).astype(values.dtype)


def masked_share(chosen: Bool[Array, " batch"], mask: Bool[Array, " batch"]) -> Float[Array, ""]:
    """How much of the real rows is chosen, in 0..1."""
    return masked_mean(chosen.astype(jnp.float32), mask)


def centred(
    values: Float[Array, "batch dim"], mask: Bool[Array, " batch"]
) -> Float[Array, "batch dim"]:
    """Rows minus the mean of the real ones."""
    return values - masked_mean(values, mask)[None, :]


def floor_share(share: float, count: Int[Array, ""], largest: int) -> Int32[Array, ""]:
    """int(share * count) for a traced count in 0..largest, exactly as Python rounds it."""
    table = np.array([int(share * n) for n in range(largest + 1)], np.int32)
    return jnp.asarray(table)[count]


def ascending_places(
    values: Float[Array, " batch"], mask: Bool[Array, " batch"]
) -> Int32[Array, " batch"]:
    """Place of each row among the real ones, smallest value first, ties by row.

    Padded rows come after all real ones.
    """
    order = jnp.lexsort((values, ~mask))
    return jnp.zeros(order.shape, jnp.int32).at[order].set(jnp.arange(len(order), dtype=jnp.int32))


def masked_quantile(
    values: Float[Array, " batch"], mask: Bool[Array, " batch"], quantile: float
) -> Float[Array, ""]:
    """Quantile of the real rows, linearly interpolated as numpy.quantile does."""
    ordered = jnp.sort(jnp.where(mask, values, jnp.inf))
    last = jnp.maximum(mask.sum() - 1, 0)
    position = quantile * last.astype(jnp.float32)
    low = jnp.floor(position).astype(jnp.int32)
    high = jnp.minimum(low + 1, last)
    return ordered[low] + (position - low.astype(jnp.float32)) * (ordered[high] - ordered[low])


def per_row_keys(key: Key[Array, ""], rows: int) -> Key[Array, " rows"]:
    """A random key for each row that does not depend on how many rows there are."""
    return jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(rows))
