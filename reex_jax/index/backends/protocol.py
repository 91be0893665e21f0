"""What a search back end is, and what all of them share."""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from reex_jax.errors import UserError

LIBRARIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "usearch": ("usearch.index", "usearch"),
        "faiss": ("faiss", "faiss-cpu"),
        "qdrant": ("qdrant_client", "qdrant-client"),
    }
)
"""Back ends that need a library -> its module and its package."""


class SearchBackend(Protocol):
    """Finds the nearest rows; positions are those of the rows as they were given, from 0."""

    def __len__(self) -> int:
        """How many rows there are."""

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows of each query, nearest first.

        Args:
            queries: [B, D] float32 unit.
            k: from 1 to N.

        Returns:
            cosines [B, k] float32 and positions [B, k] int32. Where an approximate search finds
            fewer, the last ones are minus infinity and -1.
        """

    def add(self, rows: np.ndarray) -> None:
        """Puts rows [n, D] behind the others."""

    def remove(self, positions: np.ndarray) -> None:
        """Takes rows out; positions of those behind them fall."""


def check_search(queries: np.ndarray, k: int, size: int, dim: int) -> np.ndarray:
    """The queries as float32.

    Raises:
        UserError: they are not [B, D], or k is not in 1..N.
    """
    rows = np.ascontiguousarray(queries, np.float32)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise UserError(
            f"queries have shape {list(rows.shape)}, but must be [B, {dim}]; embed them with the "
            "model of the index"
        )
    if not 1 <= k <= size:
        raise UserError(f"k is {k}, but must lie in 1..{size}, the size of the index")
    return rows


def kept_after(size: int, positions: np.ndarray) -> np.ndarray:
    """Which of `size` rows stay: rising positions.

    Raises:
        UserError: a position that is not there, or all of them.
    """
    gone = np.unique(np.asarray(positions, np.int64))
    if gone.size and (gone[0] < 0 or gone[-1] >= size):
        raise UserError(f"position {gone[-1]} is not in 0..{size - 1}")
    if gone.size == size:
        raise UserError("all rows would be removed; a search needs at least one")
    return np.setdiff1d(np.arange(size), gone, assume_unique=True)


def optional(module: str, package: str) -> Any:
    """A library that need not be installed.

    Raises:
        UserError: it is not; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"this needs {package}, which is not installed ({error}): pip install {package}, or "
            "pip install 'reex_jax[search]'"
        ) from error


class Keys:
    """Lasting numbers of rows, for back ends in which a row keeps its number when others go."""

    def __init__(self, size: int) -> None:
        """The first rows have their positions as numbers."""
        self.rows = np.arange(size, dtype=np.int64)
        self.next = size

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, count: int) -> np.ndarray:
        """Numbers of new rows behind the others."""
        new = np.arange(self.next, self.next + count, dtype=np.int64)
        self.rows, self.next = np.concatenate([self.rows, new]), self.next + count
        return new

    def remove(self, positions: np.ndarray) -> np.ndarray:
        """The numbers of rows that go."""
        kept = kept_after(len(self.rows), positions)
        gone = np.setdiff1d(self.rows, self.rows[kept], assume_unique=True)
        self.rows = self.rows[kept]
        return gone

    def positions(self, numbers: np.ndarray) -> np.ndarray:
        """Where rows stand now; -1 for what is none."""
        at = np.minimum(np.searchsorted(self.rows, numbers), len(self.rows) - 1)
        return np.where(self.rows[at] == numbers, at, -1).astype(np.int32)
