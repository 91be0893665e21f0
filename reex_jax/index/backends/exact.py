"""Exact search: all rows lie on the devices, each of which ranks its own share."""

import jax
import numpy as np

from reex_jax.index.backends.protocol import check_search, kept_after
from reex_jax.index.encoding import embedding_devices
from reex_jax.retrieval.topk import top_k


class ExactSearch:
    """A `SearchBackend` that misses nothing; of equal scores the lower position comes first."""

    def __init__(self, rows: np.ndarray, devices: int = 0) -> None:
        """Brings the rows to the devices.

        Args:
            rows: [N, D] unit, of any float type.
            devices: how many of this machine; 0 for all.

        Raises:
            UserError: there are not so many devices.
        """
        self._devices = embedding_devices(devices)
        self._place(np.asarray(rows, np.float32))

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `SearchBackend.search`."""
        rows = check_search(queries, k, len(self), self._dim)
        found = []  # all devices work before the first is waited for
        for part, first in zip(self._parts, self._starts, strict=True):
            (device,) = part.devices()
            best = top_k(jax.device_put(rows, device), part, min(k, len(part)))
            found.append((best, first))
        scores = np.concatenate([np.asarray(best[0]) for best, _ in found], axis=1)
        positions = np.concatenate([np.asarray(best[1]) + first for best, first in found], axis=1)
        # Shares stand in the order of positions, and so do equals in each: a stable sort keeps it.
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        best_positions = np.take_along_axis(positions, order, axis=1).astype(np.int32)
        return np.take_along_axis(scores, order, axis=1), best_positions

    def add(self, rows: np.ndarray) -> None:
        """See `SearchBackend.add`."""
        self._place(np.concatenate([self._whole(), np.asarray(rows, np.float32)]))

    def remove(self, positions: np.ndarray) -> None:
        """See `SearchBackend.remove`."""
        self._place(self._whole()[kept_after(len(self), positions)])

    def _whole(self) -> np.ndarray:
        return np.concatenate([np.asarray(part) for part in self._parts])

    def _place(self, rows: np.ndarray) -> None:
        self._dim = rows.shape[1]
        shares = np.array_split(rows, min(len(self._devices), len(rows)))
        self._parts = [
            jax.device_put(share, device)
            for share, device in zip(shares, self._devices[: len(shares)], strict=True)
        ]
        self._starts = np.cumsum([0, *map(len, shares)])[:-1].tolist()
