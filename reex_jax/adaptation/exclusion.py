"""Exclusion sets: the candidates that are unlikely for a query, as boolean masks.

Plausible sets come from one exact search, so ties go to the lower gallery position, there is no
host loop, and shapes never change.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from reex_jax.adaptation.masked import per_row_keys


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
        plausible: gallery positions of the k nearest items of each query.
        items: the gallery item behind each candidate; candidate i is query i's own proxy.
        mask: a padded query is no candidate.
    """
    others = ~jnp.eye(plausible.shape[0], items.shape[0], dtype=bool)
    return others & mask[None, :] & ~contains(plausible, items)


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
        key: for "random_m"; a row's choice goes by the places of its candidates.
    """
    if strategy == "outside_top_k":
        return excluded
    rows, size = similarities.shape
    if strategy == "random_m":
        keys = per_row_keys(key, rows)
        values = places_at_random(keys, jnp.arange(size, dtype=jnp.int32))
    else:
        values = similarities if strategy == "next_m" else -similarities
    best, at = jax.lax.top_k(jnp.where(excluded, values, -jnp.inf), min(m, size))
    chosen = jnp.zeros((rows, size), bool)
    return chosen.at[jnp.arange(rows)[:, None], at].set(best > -jnp.inf)


def places_at_random(
    keys: Key[Array, " batch"], places: Int[Array, " some"]
) -> Float[Array, "batch some"]:
    """A uniform number for each row and place, whatever other places are asked for."""
    draw = jax.vmap(
        lambda key, place: jax.random.uniform(jax.random.fold_in(key, place)), (None, 0)
    )
    return jax.vmap(draw, (0, None))(keys, places)
