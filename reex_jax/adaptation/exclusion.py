"""Exclusion sets: the candidates that are unlikely for a query, as boolean masks.

All sets come from one `jax.lax.top_k` of the similarities, so ties go to the lower gallery
position, there is no host loop, and shapes never change.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Int32, Key

from reex_jax.adaptation.masked import per_row_keys


def plausible_sets(
    similarities: Float[Array, "batch items"], k: int
) -> Int32[Array, "batch {min(k,similarities.shape[1])}"]:
    """Gallery positions of the k nearest items of each query, nearest first.

    For example, similarities [[0.1, 0.9, 0.9]] and k = 2 give [[1, 2]]. All items are plausible
    where k is larger, none where it is 0.
    """
    return jax.lax.top_k(similarities, min(k, similarities.shape[1]))[1]


def contains(
    sets: Int[Array, "batch k"], items: Int[Array, " others"]
) -> Bool[Array, "batch others"]:
    """Whether each of the items is in each of the sets."""
    return (sets[:, None, :] == items[None, :, None]).any(axis=-1)


def exclude_candidates(
    plausible: Int[Array, "batch k"],
    items: Int[Array, " candidates"],
    mask: Bool[Array, " candidates"],
) -> Bool[Array, "batch candidates"]:
    """E_i among candidates of this batch and others: j != i whose item is not plausible for i.

    For example, plausible [[0, 1], [1, 2], [5, 0]] and items [0, 1, 5] give
    [[F, F, T], [T, F, T], [F, T, F]].

    Args:
        plausible: see `plausible_sets`.
        items: the gallery item behind each candidate; candidate i is query i's own proxy.
        mask: a padded query is no candidate.
    """
    others = ~jnp.eye(plausible.shape[0], items.shape[0], dtype=bool)
    return others & mask[None, :] & ~contains(plausible, items)


def exclude_gallery(plausible: Int[Array, "batch k"], size: int) -> Bool[Array, "batch {size}"]:
    """E_i among the whole gallery of `size` items: what is not plausible."""
    rows = jnp.arange(plausible.shape[0])[:, None]
    return jnp.ones((plausible.shape[0], size), bool).at[rows, plausible].set(False)


def restrict(
    excluded: Bool[Array, "batch candidates"],
    similarities: Float[Array, "batch candidates"],
    strategy: str,
    m: int,
    key: Key[Array, ""],
) -> Bool[Array, "batch candidates"]:
    """Keeps m of each exclusion set.

    Args:
        excluded: the sets.
        similarities: of the same candidates.
        strategy: "outside_top_k" (all), "next_m" (the most similar), "bottom_m" (the least
            similar) or "random_m".
        m: how many, from 1; a smaller set stays whole.
        key: for "random_m"; a row's choice does not depend on the number of rows.
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
