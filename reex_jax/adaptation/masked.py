"""Statistics over the real rows of a padded batch, and entropies of softmaxes.

Padding repeats real rows, so every value here is finite before the mask removes it.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean over rows where `mask` holds, 0 where it holds nowhere: [B, ...], [B] -> [...]."""
    weights = mask.astype(values.dtype).reshape(mask.shape + (1,) * (values.ndim - 1))
    return (values * weights).sum(axis=0) / jnp.maximum(mask.sum(), 1).astype(values.dtype)


def centred(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Rows minus the mean of the real ones: [B, d], [B] -> [B, d]."""
    return values - masked_mean(values, mask)[None, :]


def log_softmax_at(similarities: jax.Array, temperature: jax.Array | float) -> jax.Array:
    """log softmax(similarities / temperature) over the last axis."""
    return jax.nn.log_softmax(similarities / temperature, axis=-1)


def entropy(log_probabilities: jax.Array) -> jax.Array:
    """-sum p log p over the last axis, in nats; log-probabilities of -inf count 0."""
    finite = jnp.isfinite(log_probabilities)
    safe = jnp.where(finite, log_probabilities, 0.0)
    return -jnp.where(finite, jnp.exp(safe) * safe, 0.0).sum(axis=-1)


def floor_share(share: float, count: jax.Array, largest: int) -> jax.Array:
    """int(share * count) for a traced count in 0..largest, exactly as Python rounds it."""
    table = np.array([int(share * n) for n in range(largest + 1)], np.int32)
    return jnp.asarray(table)[count]


def ascending_places(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Place of each row among the real ones, smallest value first, ties by row: [B] int32.

    Padded rows come after all real ones.
    """
    order = jnp.lexsort((values, ~mask))
    return jnp.zeros(order.shape, jnp.int32).at[order].set(jnp.arange(len(order), dtype=jnp.int32))


def masked_quantile(values: jax.Array, mask: jax.Array, quantile: float) -> jax.Array:
    """Quantile of the real rows, linearly interpolated as numpy.quantile does: [B] -> scalar."""
    ordered = jnp.sort(jnp.where(mask, values, jnp.inf))
    last = jnp.maximum(mask.sum() - 1, 0)
    position = quantile * last
    low = jnp.floor(position).astype(jnp.int32)
    high = jnp.minimum(low + 1, last)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])


def per_row_keys(key: jax.Array, rows: int) -> jax.Array:
    """A random key for each row that does not depend on how many rows there are."""
    return jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(rows))
