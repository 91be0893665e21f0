"""Results that are on their way: the device still computes them, and the host need not wait."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, Shaped


class Embedded(NamedTuple):
    """One batch, embedded.

    Attributes:
        queries: on the first device, padding behind the real ones.
        diagnostics: scalars on the first device.
        changed: whether the queries are of another sort than those that were learned from, on
            every device; None where they were learned from.
        real: how many are not padding.
    """

    queries: Float[Array, "batch dim"]
    diagnostics: Mapping[str, jax.Array]
    changed: Bool[Array, " devices"] | None
    real: int


@dataclass(frozen=True, eq=False)
class PendingRanks:
    """What `Adapter.begin_ranks` gives.

    Attributes:
        ranks: by ranking, on the device; padding behind the real rows.
        diagnostics: of the batch, scalars on the device.
        count: how many rows are real.
    """

    ranks: Mapping[str, Int32[Array, "batch answers"]]
    diagnostics: Mapping[str, Shaped[Array, ""]]
    count: int

    def fetch(self) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """What `Adapter.ranks` gives; waits for the device."""
        ranks = jax.device_get(list(self.ranks.values()))
        cut = [rows[: self.count] for rows in ranks]
        return dict(zip(self.ranks, cut, strict=True)), fetched(self.diagnostics)


def fetched(diagnostics: Mapping[str, Shaped[Array, ""]]) -> dict[str, float]:
    """Diagnostics as numbers; waits for the device."""
    found = jax.device_get(list(diagnostics.values()))
    # A truth becomes a number, as the others are.
    numbers = [float(value) if value.dtype == bool else value.item() for value in found]
    return dict(zip(diagnostics, numbers, strict=True))
