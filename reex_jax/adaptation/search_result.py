"""What a search gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The ranking of one batch.

    Attributes:
        indices: [B, k] int32 gallery positions, best first; of equal scores the lower position.
        scores: [B, k] float32 cosines; calibrated ranking orders by these minus a correction.
        diagnostics: "loss", "confident" (share of the queries that the method trusted), "skipped"
            (updates left out because they were not finite) and "restored" (1 where a ruined model
            was put back to the source), of this batch. Where nothing was learned: "changed" (1 if
            the queries are of another sort than those that were, and ranked as the source does).
    """

    indices: np.ndarray
    scores: np.ndarray
    diagnostics: Mapping[str, float] = field(default_factory=dict)
