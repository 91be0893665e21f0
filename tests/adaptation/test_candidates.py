"""The memory of recent candidates against a list."""

import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.adaptation.candidates import no_candidates, remember


@pytest.mark.parametrize("size", [0, 1, 5, 40])
def test_it_holds_the_last_counted_ones_oldest_first(size):
    rng = np.random.default_rng(0)
    memory, wanted = no_candidates(size), []
    assert memory.items.shape == (size,) and not memory.known.any()
    for count in (3, 1, 4, 2, 6):
        items = rng.integers(0, 9, count).astype(np.int32)
        entropies = rng.random(count).astype(np.float32)
        counted = rng.random(count) < 0.7
        memory = remember(memory, *map(jnp.asarray, (items, entropies, counted)))
        wanted += [(items[i], entropies[i]) for i in range(count) if counted[i]]
        kept = wanted[max(0, len(wanted) - size) :]
        known = np.asarray(memory.known)
        np.testing.assert_array_equal(known, np.arange(size) >= size - len(kept))
        np.testing.assert_array_equal(memory.items[known], [item for item, _ in kept])
        np.testing.assert_array_equal(memory.entropies[known], [h for _, h in kept])
    assert memory.items.dtype == jnp.int32 and memory.entropies.dtype == jnp.float32
