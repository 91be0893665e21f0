"""faiss: a graph (HNSW) in memory, for people who have faiss."""

from pathlib import Path
from typing import Any

import numpy as np

from reex_jax.index.backends.protocol import LIBRARIES, check_search, kept_after, optional
from reex_jax.settings.search import Search


class FaissGraph:
    """A `SearchBackend`; rows are held as float32."""

    def __init__(self, rows: np.ndarray, settings: Search, file: Path | None = None) -> None:
        """Builds the graph, or reads it; see `UsearchGraph`.

        Raises:
            UserError: faiss is not installed.
        """
        self._library, self._settings = optional(*LIBRARIES["faiss"]), settings
        self._dim = rows.shape[1]
        self._graph = self._empty() if file is None else self._library.read_index(str(file))
        self.add(rows[len(self) :])

    def __len__(self) -> int:
        return int(self._graph.ntotal)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `SearchBackend.search`."""
        rows = check_search(queries, k, len(self), self._dim)
        self._graph.hnsw.efSearch = max(self._settings.expansion_search, k)
        scores, positions = self._graph.search(rows, k)
        return np.where(positions >= 0, scores, -np.inf), positions.astype(np.int32)

    def add(self, rows: np.ndarray) -> None:
        """See `SearchBackend.add`."""
        for start in range(0, len(rows), 65536):
            self._graph.add(np.ascontiguousarray(rows[start : start + 65536], np.float32))

    def remove(self, positions: np.ndarray) -> None:
        """See `SearchBackend.remove`; faiss cannot take out of a graph, so it is built anew."""
        kept = kept_after(len(self), positions)
        rows = self._graph.reconstruct_n(0, len(self))[kept]
        self._graph = self._empty()
        self.add(rows)

    def save(self, file: Path) -> None:
        """Writes the graph, for the same rows."""
        self._library.write_index(self._graph, str(file))

    def _empty(self) -> Any:
        library, settings = self._library, self._settings
        graph = library.IndexHNSWFlat(
            self._dim, settings.connectivity, library.METRIC_INNER_PRODUCT
        )
        graph.hnsw.efConstruction = settings.expansion_add
        return graph
