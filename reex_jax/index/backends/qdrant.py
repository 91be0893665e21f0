"""Qdrant: a server of vectors, for people who run one; or its local mode in a folder."""

from typing import Any

import numpy as np

from reex_jax.errors import UserError
from reex_jax.index.backends.protocol import LIBRARIES, Keys, check_search, optional
from reex_jax.settings.search import Search

_BATCH = 1000


class QdrantSearch:
    """A `SearchBackend`; the collection is this object's own, and is made anew."""

    def __init__(self, rows: np.ndarray, settings: Search) -> None:
        """Writes all rows into a collection, in place of one of the same name.

        Args:
            rows: [N, D] unit, of any float type.
            settings: `qdrant` is an address (http://...), a folder, or "" for memory.

        Raises:
            UserError: qdrant-client is not installed, or the server does not answer.
        """
        self._library = optional(*LIBRARIES["qdrant"])
        self._name, self._dim, self._keys = settings.collection, rows.shape[1], Keys(0)
        place = settings.qdrant
        try:
            where = {"url": place} if "://" in place else {"path": place}
            where = where if place else {"location": ":memory:"}
            self._client = self._library.QdrantClient(**where)
            self._begin()
        except Exception as error:  # transport and server raise unrelated types
            raise UserError(
                f"Qdrant at {place or 'memory'} cannot be used ({type(error).__name__}: "
                f"{str(error)[:200]}); check search.qdrant, and that the server runs"
            ) from error
        self.add(rows)

    def __len__(self) -> int:
        return len(self._keys)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `SearchBackend.search`."""
        rows = check_search(queries, k, len(self), self._dim)
        models = self._library.models
        asked = [models.QueryRequest(query=row.tolist(), limit=k) for row in rows]
        found = self._client.query_batch_points(self._name, requests=asked)
        scores = np.full((len(rows), k), -np.inf, np.float32)
        positions = np.full((len(rows), k), -1, np.int32)
        for row, answer in enumerate(found):
            numbers = np.array([point.id for point in answer.points], np.int64)
            scores[row, : len(numbers)] = [point.score for point in answer.points]
            positions[row, : len(numbers)] = self._keys.positions(numbers)
        return scores, positions

    def add(self, rows: np.ndarray) -> None:
        """See `SearchBackend.add`."""
        models = self._library.models
        for start in range(0, len(rows), _BATCH):
            part = np.asarray(rows[start : start + _BATCH], np.float32)
            numbers = self._keys.add(len(part)).tolist()
            batch = models.Batch(ids=numbers, vectors=part.tolist())
            self._client.upsert(self._name, points=batch, wait=True)

    def remove(self, positions: np.ndarray) -> None:
        """See `SearchBackend.remove`."""
        numbers = self._keys.remove(positions).tolist()
        chosen: Any = self._library.models.PointIdsList(points=numbers)
        self._client.delete(self._name, points_selector=chosen, wait=True)

    def _begin(self) -> None:
        models = self._library.models
        if self._client.collection_exists(self._name):
            self._client.delete_collection(self._name)
        shape = models.VectorParams(size=self._dim, distance=models.Distance.DOT)
        self._client.create_collection(self._name, vectors_config=shape)
