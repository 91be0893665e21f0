"""What is found of the queries of one pass, batch by batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reex_jax.queries.streams import Stream

RanksOf = dict[str, dict[Stream, np.ndarray]]
"""Ranking -> each stream's ranks [num_queries, R] int32, -1 for queries that were not asked."""
Asked = Sequence[tuple[Stream, int]]
"""The stream and the position of each query of a batch."""


@dataclass(eq=False)
class Found:
    """What was found of one pass so far.

    Attributes:
        streams: of the pass.
        shape: of a stream's ranks.
        ranks: of the queries so far.
        diagnostics: of the batches so far.
    """

    streams: Sequence[Stream]
    shape: tuple[int, ...]
    ranks: RanksOf = field(default_factory=dict)
    diagnostics: list[dict[str, float]] = field(default_factory=list)

    def add(
        self, asked: Asked, by_ranking: Mapping[str, np.ndarray], how: dict[str, float]
    ) -> None:
        """Takes a batch.

        Args:
            asked: its queries.
            by_ranking: ranks [B, R] int32 of these, the first rows.
            how: its diagnostics.
        """
        self.diagnostics.append(how)
        for ranking, rows in by_ranking.items():
            if ranking not in self.ranks:
                self.ranks[ranking] = {s: np.full(self.shape, -1, np.int32) for s in self.streams}
            for (stream, position), own in zip(asked, rows[: len(asked)], strict=True):
                self.ranks[ranking][stream][position] = own
