"""What queries are ranked against: every item on the device, or what a back end names for each."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from reex_jax.gsr.features import FusionFeatures
from reex_jax.index.backends.protocol import SearchBackend
from reex_jax.service.programs import Best, fuse, fuse_own, padded, rank, rank_own
from reex_jax.settings.repair import FusionSettings

# What is taken from the cosines of all items, by row; each gallery keeps it in its own way.
Corrections = Any


class Gallery(Protocol):
    """Fuses and ranks any number of queries; what comes back may have padding behind them."""

    @property
    def reach(self) -> int:
        """How many items a query is ranked among, at most."""

    def no_corrections(self, rows: int) -> Corrections:
        """So many rows that take nothing."""

    def corrected(
        self, corrections: Corrections, at: int, correction: np.ndarray | None
    ) -> Corrections:
        """New corrections, in which one row is another [N] float32; None: it takes nothing."""

    def fuse(
        self,
        rule: str,
        settings: FusionSettings,
        original: np.ndarray,
        repaired: np.ndarray,
        features: FusionFeatures,
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `programs.fuse`; [rows, d] and [rows] float32."""

    def rank(
        self, queries: np.ndarray, which: np.ndarray, corrections: Corrections, k: int
    ) -> Best:
        """See `programs.rank`; position -1 where a query has fewer than k items."""


class ExactGallery:
    """All items, in float32 on the device."""

    def __init__(self, embeddings: np.ndarray, temperature: float, sizes: Sequence[int]) -> None:
        """Puts the gallery on the device.

        Args:
            embeddings: [N, d] float32 or float16 unit rows.
            temperature: the model's own.
            sizes: numbers of rows that are compiled for, rising.
        """
        self._rows = jnp.asarray(np.asarray(embeddings, np.float32))
        self._temperature, self._sizes = jnp.float32(temperature), sizes

    @property
    def reach(self) -> int:
        """See `Gallery.reach`."""
        return self._rows.shape[0]

    def no_corrections(self, rows: int) -> Corrections:
        """See `Gallery.no_corrections`; [rows, N] on the device."""
        return jnp.zeros((rows, self.reach), jnp.float32)

    def corrected(
        self, corrections: Corrections, at: int, correction: np.ndarray | None
    ) -> Corrections:
        """See `Gallery.corrected`."""
        return corrections.at[at].set(0.0 if correction is None else jnp.asarray(correction))

    def fuse(
        self,
        rule: str,
        settings: FusionSettings,
        original: np.ndarray,
        repaired: np.ndarray,
        features: FusionFeatures,
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Gallery.fuse`."""
        rows, known = _both_padded(original, repaired, features, self._sizes)
        found: tuple[np.ndarray, np.ndarray] = jax.device_get(
            fuse(rule, settings, rows[0], rows[1], known, self._rows, self._temperature)
        )
        return found

    def rank(
        self, queries: np.ndarray, which: np.ndarray, corrections: Corrections, k: int
    ) -> Best:
        """See `Gallery.rank`."""
        rows, lanes = padded(queries, self._sizes), padded(which, self._sizes)
        found: Best = jax.device_get(
            rank(rows, lanes, self._rows, corrections, self._temperature, k)
        )
        return found


def _both_padded(
    original: np.ndarray, repaired: np.ndarray, features: FusionFeatures, sizes: Sequence[int]
) -> tuple[list[np.ndarray], FusionFeatures]:
    """Queries, their repairs and what fusion knows of them, as `programs.fuse` takes them."""
    known = FusionFeatures(*(padded(part, sizes) for part in features))
    return [padded(part, sizes) for part in (original, repaired)], known


class _Own(NamedTuple):
    """Items of each query, padded to a size that is compiled for.

    Attributes:
        positions: [rows, M] int32 in the index, rising, without repeats; then anything.
        rows: [rows, M, d] float32, theirs.
        counts: [rows] int32, how many there are.
    """

    positions: np.ndarray
    rows: np.ndarray
    counts: np.ndarray


class CandidateGallery:
    """For each query the items that a back end names; their own rows say how near they are.

    A query's answer depends on no other query of its step. With as many candidates as items it is
    that of `ExactGallery`.
    """

    def __init__(
        self,
        embeddings: np.ndarray,
        backend: SearchBackend,
        candidates: int,
        temperature: float,
        sizes: Sequence[int],
    ) -> None:
        """Puts nothing on the device.

        Args:
            embeddings: [N, d] float32 or float16 unit rows; mapped files are read row by row.
            backend: over these rows.
            candidates: that it names for each query.
            temperature: the model's own.
            sizes: numbers of queries that are compiled for, rising.
        """
        self._all, self._backend = embeddings, backend
        self._most = min(candidates, len(embeddings))
        self._temperature, self._sizes = jnp.float32(temperature), sizes

    @property
    def reach(self) -> int:
        """See `Gallery.reach`."""
        return self._most

    def no_corrections(self, rows: int) -> Corrections:
        """See `Gallery.no_corrections`; a tuple of [N] float32 or None, on the host."""
        return (None,) * rows

    def corrected(
        self, corrections: Corrections, at: int, correction: np.ndarray | None
    ) -> Corrections:
        """See `Gallery.corrected`."""
        return (*corrections[:at], correction, *corrections[at + 1 :])

    def fuse(
        self,
        rule: str,
        settings: FusionSettings,
        original: np.ndarray,
        repaired: np.ndarray,
        features: FusionFeatures,
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Gallery.fuse`; among the candidates of the query and of its repair."""
        near = [self._backend.search(rows, self._most)[1] for rows in (original, repaired)]
        own = self._own(np.concatenate(near, axis=1))
        rows, known = _both_padded(original, repaired, features, self._sizes)
        found: tuple[np.ndarray, np.ndarray] = jax.device_get(
            fuse_own(
                rule, settings, rows[0], rows[1], known, own.rows, own.counts, self._temperature
            )
        )
        return found

    def rank(
        self, queries: np.ndarray, which: np.ndarray, corrections: Corrections, k: int
    ) -> Best:
        """See `Gallery.rank`."""
        own = self._own(self._backend.search(queries, self._most)[1])
        taken = np.zeros(own.positions.shape, np.float32)
        for row, lane in enumerate(which):
            if corrections[lane] is not None:
                taken[row] = corrections[lane][own.positions[row]]
        rows = padded(queries, self._sizes)
        best = jax.device_get(rank_own(rows, own.rows, own.counts, taken, self._temperature, k))
        found = np.take_along_axis(own.positions, np.clip(best.positions, 0, self._most - 1), 1)
        return best._replace(positions=np.where(np.isneginf(best.scores), -1, found))

    def _own(self, near: np.ndarray) -> _Own:
        """The items that were named for each query [rows, m], -1 for none, without repeats."""
        width = min(near.shape[1], len(self._all))
        positions, counts = np.zeros((len(near), width), np.int32), np.zeros(len(near), np.int32)
        for row, items in enumerate(near):
            own = np.unique(items[items >= 0])  # rising: equal scores go by position
            positions[row, : len(own)], counts[row] = own, len(own)
        positions, counts = padded(positions, self._sizes), padded(counts, self._sizes)
        return _Own(positions, np.asarray(self._all[positions], np.float32), counts)
