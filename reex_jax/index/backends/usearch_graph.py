"""usearch: a graph (HNSW) in memory, for large galleries on one machine."""

from pathlib import Path

import numpy as np

from reex_jax.index.backends.protocol import LIBRARIES, Keys, check_search, optional
from reex_jax.settings.search import Search


class UsearchGraph:
    """A `SearchBackend`; rows are held as half floats."""

    def __init__(self, rows: np.ndarray, settings: Search, file: Path | None = None) -> None:
        """Builds the graph, or reads it.

        Args:
            rows: [N, D] unit, of any float type.
            settings: see `Search`.
            file: where `save` wrote a graph of these very rows, or of the first of them.

        Raises:
            UserError: usearch is not installed.
        """
        library = optional(*LIBRARIES["usearch"])
        self._dim = rows.shape[1]
        self._graph = library.Index(
            ndim=self._dim,
            metric="ip",
            dtype="f16",
            connectivity=settings.connectivity,
            expansion_add=settings.expansion_add,
            expansion_search=settings.expansion_search,
        )
        self._expansion = settings.expansion_search
        self._keys = Keys(0)
        if file is not None:
            self._graph.load(str(file))
            self._keys = Keys(len(self._graph))
        self.add(rows[len(self._keys) :])

    def __len__(self) -> int:
        return len(self._keys)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `SearchBackend.search`."""
        rows = check_search(queries, k, len(self), self._dim)
        self._graph.expansion_search = max(self._expansion, k)
        found = self._graph.search(rows, k)
        numbers, distances = (np.reshape(x, (len(rows), -1)) for x in (found.keys, found.distances))
        counts = np.reshape(getattr(found, "counts", numbers.shape[1]), (-1, 1))
        there = np.arange(numbers.shape[1])[None, :] < counts
        positions = np.where(there, self._keys.positions(numbers.astype(np.int64)), -1)
        scores = np.where(positions >= 0, 1 - distances, -np.inf).astype(np.float32)
        return scores, positions.astype(np.int32)

    def add(self, rows: np.ndarray) -> None:
        """See `SearchBackend.add`."""
        for start in range(0, len(rows), 65536):
            part = np.asarray(rows[start : start + 65536], np.float32)
            self._graph.add(self._keys.add(len(part)).astype(np.uint64), part)

    def remove(self, positions: np.ndarray) -> None:
        """See `SearchBackend.remove`; the graph keeps the places of what has gone."""
        self._graph.remove(self._keys.remove(positions).astype(np.uint64))

    def save(self, file: Path) -> None:
        """Writes the graph, for the same rows; not after a removal."""
        self._graph.save(str(file))
