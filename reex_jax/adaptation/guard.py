"""What undoes an adaptation that ruins the model: found from one batch, without labels."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from reex_jax.adaptation.masked import centred, masked_mean

COLLAPSED_BELOW = 0.25
"""Share of the source's spread; adaptation that helps makes embeddings spread out, not draw in."""
AFTER_RUIN = 0.1
"""Share of the learning rate that is left after each time the model was ruined, until a reset."""
FEWEST = 4
"""Queries from which a batch's spread says something."""


class Verdict(NamedTuple):
    """What a batch says.

    Attributes:
        ruined: whether the parameters are to be put back.
        queries: what is ranked: the source model's embeddings where the adapted ones are no use.
    """

    ruined: Bool[Array, ""]
    queries: Float[Array, "batch dim"]


def spread(queries: Float[Array, "batch dim"], mask: Bool[Array, " batch"]) -> Float[Array, ""]:
    """Mean squared distance of the real rows from their mean: 0 where all are one."""
    return masked_mean((centred(queries, mask) ** 2).sum(axis=1), mask)


def judge(
    queries: Float[Array, "batch dim"],
    sources: Float[Array, "batch dim"],
    mask: Bool[Array, " batch"],
    failed: Bool[Array, ""],
) -> Verdict:
    """Whether adaptation has ruined the model.

    It has where every update on the batch was left out because it was not finite, where an
    embedding is not finite, or where embeddings have drawn together: a collapse sends all queries
    to the same few items.

    Args:
        queries: by the adapted model.
        sources: the same queries by the source model.
        mask: False for padding.
        failed: whether every update on the batch was left out.
    """
    finite = jnp.isfinite(queries).all(axis=1) | ~mask
    usable = jnp.where(finite[:, None], queries, sources)
    drawn = spread(usable, mask) < COLLAPSED_BELOW * spread(sources, mask)
    collapsed = drawn & (mask.sum() >= FEWEST)
    ruined = failed | collapsed | ~finite.all()
    return Verdict(ruined, jnp.where(ruined, sources, usable))
