"""TCR's memory of the most source-like pairs, which stands in for source data nobody has.

Li et al., "Test-time Adaptation for Cross-modal Retrieval with Query Shift" (TCR), ICLR 2025,
section 3: a pair of a query and its nearest gallery item is source-like if the two are close to
each other and far from the centres of their modalities.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from reex_jax.adaptation.masked import ascending_places, centred, floor_share, masked_mean
from reex_jax.adaptation.objective import Batch, Start


class SourcePairs(NamedTuple):
    """Up to B pairs, most source-like first; unused places have distance +inf.

    Attributes:
        queries: their embeddings.
        items: the gallery item of each query.
        entropies: of the query's softmax when it was stored.
        distances: small for source-like pairs.
    """

    queries: Float[Array, "pairs dim"]
    items: Float[Array, "pairs dim"]
    entropies: Float[Array, " pairs"]
    distances: Float[Array, " pairs"]


def no_pairs(start: Start) -> SourcePairs:
    """An empty memory for as many pairs as a batch holds."""
    size = start.batch_size
    rows = jnp.zeros((size, start.gallery.shape[1]), jnp.float32)
    return SourcePairs(rows, rows, jnp.zeros(size), jnp.full(size, jnp.inf))


def stored(pairs: SourcePairs) -> Bool[Array, " pairs"]:
    """Which places hold a pair."""
    return jnp.isfinite(pairs.distances)


def remember_pairs(
    pairs: SourcePairs,
    batch: Batch,
    items: Float[Array, "batch dim"],
    entropies: Float[Array, " batch"],
    *,
    share: float,
    batches: int,
) -> SourcePairs:
    """Adds the most source-like pairs of a batch, on the first step of the first batches only.

    Args:
        pairs: the memory.
        batch: the queries.
        items: each query's nearest gallery item.
        entropies: of the queries' softmaxes.
        share: int(share * real queries) pairs of the batch are offered.
        batches: after so many batches the memory stays as it is.
    """
    z, c = jax.lax.stop_gradient((batch.queries, items))
    distances = (
        2 * jnp.linalg.norm(z - c, axis=1)
        - jnp.linalg.norm(centred(z, batch.mask), axis=1)
        - jnp.linalg.norm(centred(c, batch.mask), axis=1)
    )
    offered = ascending_places(distances, batch.mask) < floor_share(
        share, batch.count, batch.mask.shape[0]
    )
    offered &= batch.mask & (batch.step == 0) & (batch.index < batches)
    new = SourcePairs(
        z, c, jax.lax.stop_gradient(entropies), jnp.where(offered, distances, jnp.inf)
    )
    joined = jax.tree.map(lambda old, added: jnp.concatenate([old, added]), pairs, new)
    kept = jnp.argsort(joined.distances, stable=True)[: pairs.distances.shape[0]]
    return SourcePairs(*(part[kept] for part in joined))


def modality_gap(
    queries: Float[Array, "pairs dim"],
    items: Float[Array, "pairs dim"],
    mask: Bool[Array, " pairs"],
) -> Float[Array, ""]:
    """Distance between the centres of queries and items (TCR, EMG)."""
    return safe_norm(masked_mean(queries, mask) - masked_mean(items, mask))


def safe_norm(x: Float[Array, "*axes last"]) -> Float[Array, "*axes"]:
    """Length of the last axis; its gradient at 0 is 0, where that of a plain norm is NaN."""
    squares = jnp.sum(x * x, axis=-1)
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)


def gap_loss(
    batch: Batch, items: Float[Array, "batch dim"], pairs: SourcePairs
) -> Float[Array, ""]:
    """(gap of the batch - gap of the source-like pairs)^2, 0 while there are none."""
    known = stored(pairs)
    difference = modality_gap(batch.queries, items, batch.mask) - modality_gap(
        pairs.queries, pairs.items, known
    )
    return jnp.where(known.any(), difference**2, 0.0)


def uniformity_loss(batch: Batch) -> Float[Array, ""]:
    """mean exp(-0.1 |z_i - mean z|): small when queries spread out (TCR, UNI)."""
    spread = safe_norm(centred(batch.queries, batch.mask))
    return masked_mean(jnp.exp(-0.1 * spread), batch.mask)
