"""Candidates of recent queries, so that a stream of single queries has some to exclude."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32


class Memory(NamedTuple):
    """What the last queries were near to, oldest first.

    Attributes:
        items: gallery positions of their proxies.
        entropies: of their rankings, in nats.
        known: which places are filled.
    """

    items: Int32[Array, " memory"]
    entropies: Float[Array, " memory"]
    known: Bool[Array, " memory"]


def no_candidates(size: int) -> Memory:
    """An empty memory."""
    return Memory(jnp.zeros(size, jnp.int32), jnp.zeros(size, jnp.float32), jnp.zeros(size, bool))


def remember(
    memory: Memory,
    items: Int32[Array, " batch"],
    entropies: Float[Array, " batch"],
    counted: Bool[Array, " batch"],
) -> Memory:
    """Puts a batch behind the others and drops the oldest; only `counted` rows are kept.

    Places that nothing fills hold 0, so that padding leaves no trace.
    """
    size = memory.items.shape[0]
    known = jnp.concatenate([memory.known, counted])
    kept = jnp.argsort(known, stable=True)[known.shape[0] - size :]
    known = known[kept]
    return Memory(
        jnp.where(known, jnp.concatenate([memory.items, items])[kept], 0),
        jnp.where(known, jnp.concatenate([memory.entropies, entropies])[kept], 0.0),
        known,
    )


def moved(memory: Memory, origin: np.ndarray) -> Memory:
    """The memory after the gallery changed: candidates that are gone are forgotten.

    Args:
        memory: of the old gallery.
        origin: [M] int32, the old position of each item of the new gallery, -1 for new ones.
    """
    items = np.asarray(memory.items)
    now = np.full(1 + max(origin.max(initial=0), items.max(initial=0)), -1, np.int32)
    old = np.flatnonzero(origin >= 0)
    now[origin[old]] = old
    kept = now[items] >= 0
    return Memory(
        jnp.asarray(np.where(kept, now[items], 0)),
        memory.entropies,
        memory.known & jnp.asarray(kept),
    )
