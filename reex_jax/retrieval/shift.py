"""Notices that another sort of queries arrives: what was learned for the last sort may then harm.

The source model's embeddings of the queries are compared: their mean over a recent window with
their mean since the last change. For queries of one sort the squared distance of two such means is
about the sum of their variances; many times as much is a change.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

WINDOW = 32.0
"""Queries in the recent mean, and the fewest that it is compared with."""
FEWEST = 8.0
LONGEST = 512.0
"""Queries after which older ones count less and less."""


class Sort(NamedTuple):
    """Statistics of the queries since the last change.

    Attributes:
        mean: of the source's embeddings.
        variance: mean squared distance from it.
        seen: queries in both.
        recent: mean over the window.
        recent_seen: queries in that.
    """

    mean: Float[Array, " dim"]
    variance: Float[Array, ""]
    seen: Float[Array, ""]
    recent: Float[Array, " dim"]
    recent_seen: Float[Array, ""]


def no_sort(dim: int) -> Sort:
    """Before the first query."""
    zero, nothing = jnp.zeros(dim, jnp.float32), jnp.float32(0)
    return Sort(zero, nothing, nothing, zero, nothing)


def follow(
    sort: Sort,
    sources: Float[Array, "batch dim"],
    counted: Bool[Array, " batch"],
    shift_above: float,
) -> tuple[Sort, Bool[Array, ""]]:
    """The statistics with a batch in them, and whether it is of another sort.

    After a change they begin anew with this batch.

    Args:
        sort: before the batch.
        sources: unit embeddings by the source model.
        counted: rows that are real and no repeats.
        shift_above: how many times the expected squared distance is a change; 0 for never.
    """
    number = counted.sum(dtype=jnp.float32)
    rows = jnp.where(counted[:, None], sources, 0.0)
    mean = rows.sum(axis=0) / jnp.maximum(number, 1.0)
    share = jnp.clip(number / WINDOW, 0.0, 1.0)
    recent = jnp.where(sort.recent_seen > 0, sort.recent + share * (mean - sort.recent), mean)
    recent_seen = jnp.minimum(sort.recent_seen + number, jnp.maximum(WINDOW, number))
    expected = sort.variance * (1 / jnp.maximum(recent_seen, 1.0) + 1 / jnp.maximum(sort.seen, 1.0))
    distance = ((recent - sort.mean) ** 2).sum()
    enough = (sort.seen >= WINDOW) & (recent_seen >= FEWEST)
    changed = enough & (distance > shift_above * (expected + 1e-9)) & jnp.bool_(shift_above > 0)

    centre = jnp.where(sort.seen > 0, sort.mean, mean)
    around = jnp.where(counted, ((sources - centre[None, :]) ** 2).sum(axis=1), 0.0).sum()
    within = jnp.where(counted, ((sources - mean[None, :]) ** 2).sum(axis=1), 0.0).sum()
    seen = sort.seen + number
    # A batch too small to have a variance of its own keeps the one before.
    own = jnp.where(number >= FEWEST, within / jnp.maximum(number, 1.0), sort.variance)
    joined = (sort.variance * sort.seen + around) / jnp.maximum(seen, 1.0)
    return Sort(
        mean=jnp.where(
            changed, mean, sort.mean + (mean - sort.mean) * number / jnp.maximum(seen, 1)
        ),
        variance=jnp.where(changed, own, joined),
        seen=jnp.where(changed, number, jnp.minimum(seen, LONGEST)),
        recent=recent,
        recent_seen=jnp.where(changed, 0.0, recent_seen),
    ), changed
