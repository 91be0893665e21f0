"""Exclusion sets: the candidates that are unlikely for a query, as boolean masks.

All sets come from one `jax.lax.top_k` of the similarities, so ties go to the lower gallery
position, there is no host loop, and shapes never change.
"""

import jax
import jax.numpy as jnp

from reex_jax.adaptation.masked import per_row_keys

STRATEGIES = ("outside_top_k", "next_m", "bottom_m", "random_m")


def plausible_sets(similarities: jax.Array, k: int) -> jax.Array:
    """The k nearest gallery items of each query, nearest first.

    For example, similarities [[0.1, 0.9, 0.9]] and k = 2 give [[1, 2]].

    Args:
        similarities: [B, N] float32.
        k: from 0; all N items are plausible where k is larger.

    Returns:
        [B, min(k, N)] int32 gallery positions.
    """
    return jax.lax.top_k(similarities, min(k, similarities.shape[1]))[1]


def contains(sets: jax.Array, items: jax.Array) -> jax.Array:
    """Whether each of M items is in each of B sets: [B, k] and [M] ints -> [B, M] bool."""
    return (sets[:, None, :] == items[None, :, None]).any(axis=-1)


def exclude_candidates(plausible: jax.Array, items: jax.Array, mask: jax.Array) -> jax.Array:
    """E_i among the batch's candidates: j != i whose item is not plausible for i.

    For example, plausible [[0, 1], [1, 2], [5, 0]] and items [0, 1, 5] give
    [[F, F, T], [T, F, T], [F, T, F]].

    Args:
        plausible: [B, k] int32, see `plausible_sets`.
        items: [B] int32, the gallery item behind each query's proxy.
        mask: [B] bool; a padded query is no candidate.

    Returns:
        [B, B] bool.
    """
    others = ~jnp.eye(items.shape[0], dtype=bool)
    return others & mask[None, :] & ~contains(plausible, items)


def exclude_gallery(plausible: jax.Array, size: int) -> jax.Array:
    """E_i among the whole gallery of `size` items: what is not plausible. [B, size] bool."""
    rows = jnp.arange(plausible.shape[0])[:, None]
    return jnp.ones((plausible.shape[0], size), bool).at[rows, plausible].set(False)


def restrict(
    excluded: jax.Array, similarities: jax.Array, strategy: str, m: int, key: jax.Array
) -> jax.Array:
    """Keeps m of each exclusion set.

    Args:
        excluded: [B, M] bool.
        similarities: [B, M] float32 of the same candidates.
        strategy: "outside_top_k" (all), "next_m" (the most similar), "bottom_m" (the least
            similar) or "random_m".
        m: how many, from 1; a smaller set stays whole.
        key: for "random_m"; a row's choice does not depend on the number of rows.

    Returns:
        [B, M] bool.
    """
    if strategy == "outside_top_k":
        return excluded
    rows, size = similarities.shape
    if strategy == "random_m":
        keys = per_row_keys(key, rows)
        values = jax.vmap(lambda row: jax.random.uniform(row, (size,)))(keys)
    else:
        values = similarities if strategy == "next_m" else -similarities
    best, at = jax.lax.top_k(jnp.where(excluded, values, -jnp.inf), min(m, size))
    chosen = jnp.zeros((rows, size), bool)
    return chosen.at[jnp.arange(rows)[:, None], at].set(best > -jnp.inf)
