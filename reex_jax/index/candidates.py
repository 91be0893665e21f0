"""Adaptation and calibration over an index of any size: only what a back end returns is looked at.

For every batch the back end names the candidates of each query. Together with those of the batches
before, as many as there is room for, they are the gallery that an `Adapter` works on: plausible and
exclusion sets, proxies, fusion and ranking are those of the paper's method on this working set. The
step is compiled once, since the set always has the same size.

What calibration knows of all N items stays on the host. Let m_j be the sum over counted queries of
exp(s_ij / t). For items of the working set m_j grows by what the batch shows, as in exact ranking;
for all others it grows by the batch's floor, the mean over its queries of exp(f_i / t), f_i being
the lowest score that the back end returned for query i: more than any of them can have had. One
number holds that for all items, so a batch costs nothing that grows with N.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from reex_jax.adaptation.adapter import Adapter
from reex_jax.adaptation.items import Items
from reex_jax.adaptation.replicas import first_copy
from reex_jax.adaptation.search_result import SearchResult
from reex_jax.errors import UserError
from reex_jax.index.backends.protocol import SearchBackend
from reex_jax.models.two_tower import TwoTower
from reex_jax.retrieval.rows import fingerprints
from reex_jax.settings.adaptation import AdaptSettings

_EMPTY = -1e30  # as in `retrieval.calibration`
_ROOM = 1024
"""Items of earlier batches that stay in the working set, at least: methods remember proxies."""


class HostMass:
    """m_j / exp(1 / t) of every item, in float64 on the host, as a floor and what lies above it."""

    def __init__(self, items: int, temperature: float) -> None:
        """Nothing was seen yet.

        Args:
            items: N.
            temperature: t, in units of cosine.
        """
        self._t, self._floor, self._above = temperature, 0.0, np.zeros(items)

    def log_mass(self, positions: np.ndarray) -> np.ndarray:
        """log m_j of some items, float32; -1e30 before the first query."""
        mass = self._floor + self._above[positions]
        with np.errstate(divide="ignore"):
            logs = np.log(np.maximum(mass, 0)) + 1 / self._t
        return np.where(mass > 0, logs, _EMPTY).astype(np.float32)

    def update(
        self, positions: np.ndarray, log_mass: np.ndarray, floors: np.ndarray, counted: float
    ) -> None:
        """Takes over what ranking knows after a batch.

        Args:
            positions: of the working set.
            log_mass: theirs, after the batch.
            floors: lowest score that was returned for each query.
            counted: queries of the batch that counted.
        """
        before = self.log_mass(positions)
        if ((log_mass < before - 1e-3) & (before > _EMPTY)).any():  # another sort: begun anew
            self._floor, self._above[:] = 0.0, 0.0
        finite = floors[np.isfinite(floors)].astype(np.float64)
        if finite.size:
            self._floor += counted * float(np.exp((finite - 1) / self._t).mean())
        mass = np.where(log_mass > _EMPTY, np.exp(log_mass.astype(np.float64) - 1 / self._t), 0.0)
        self._above[positions] = mass - self._floor


class _WorkingAdapter(Adapter):
    """An adapter whose gallery is exchanged for another of the same size."""

    def exchange(self, rows: np.ndarray, origin: np.ndarray, log_mass: np.ndarray) -> None:
        """Goes on with other rows [M, d]; `origin` [M]: where each was before, -1 for new ones."""
        state = first_copy(self._state)
        state = state._replace(
            objective=self._objective.regrown(state.objective, origin),
            calibration=state.calibration._replace(log_mass=jnp.asarray(log_mass)),
        )
        self._gallery.exchange(rows)
        self._follow(Items(self.ids, fingerprints(rows), rows.shape[1]), state)

    @property
    def hub_temperature(self) -> float:
        """That of calibration, in units of cosine."""
        return float(self._ranking.relative_temperature * float(self._constants.temperature))

    @property
    def calibration(self) -> str:
        """Which one, see `Ranking`."""
        return self._ranking.calibration


class CandidateAdapter:
    """Searches an index through a back end and adapts on the way, as `Adapter` does exactly."""

    def __init__(
        self,
        model: TwoTower,
        embeddings: np.ndarray,
        backend: SearchBackend,
        *,
        query: str,
        candidates: int = 64,
        **settings: Any,
    ) -> None:
        """Compiles nothing yet.

        Args:
            model: of the index.
            embeddings: [N, d] of the index; mapped files are read row by row.
            backend: over these rows.
            query: "image" or "text".
            candidates: that the back end returns for each query; also the largest k.
            **settings: of `Adapter`, but `ids`.

        Raises:
            UserError: no candidates, more rows in one than in the other, calibration "sinkhorn"
                (it needs all items of every query), or see `Adapter`.
        """
        size = len(embeddings)
        if not candidates >= 1:
            raise UserError(f"candidates is {candidates}; it must be at least 1")
        if len(backend) != size:
            raise UserError(f"the back end has {len(backend)} rows, but the index {size}")
        self._all, self._backend, self._most = embeddings, backend, min(candidates, size)
        batch = settings.get("batch_size", AdaptSettings().batch_size)
        room = min(size, batch * candidates + _ROOM) if isinstance(batch, int) else size
        self._working = np.arange(room)
        rows = np.asarray(embeddings[:room], np.float32)
        self._adapter = _WorkingAdapter(model, rows, query=query, **settings)
        if self._adapter.calibration == "sinkhorn":
            raise UserError(
                "rank.calibration 'sinkhorn' needs every item's score; set it to inverted_softmax "
                "or off, or search exactly"
            )
        self._mass = HostMass(size, self._adapter.hub_temperature)

    def __len__(self) -> int:
        return len(self._all)

    def reset(self, seed: int | None = None) -> None:
        """Forgets everything, see `Adapter.reset`."""
        self._adapter.reset(seed)
        self._mass = HostMass(len(self), self._adapter.hub_temperature)

    def search(self, queries: Any, k: int = 10, *, learn: bool = True) -> SearchResult:
        """As `Adapter.search`; positions are those of the index.

        Raises:
            UserError: k is not in 1..candidates; see `Adapter.search`.
        """
        if not 1 <= k <= self._most:
            raise UserError(f"k is {k}, but must lie in 1..{self._most}, the candidates of a query")
        scores, near = self._backend.search(np.asarray(self._adapter.embed(queries)), self._most)
        self._exchange(np.unique(near[near >= 0]))
        seen = float(self._adapter.state.calibration.seen) if learn else 0.0
        found = self._adapter.search(queries, k, learn=learn)
        if learn and self._adapter.calibration != "off":
            after = self._adapter.state.calibration
            counted = float(after.seen) - seen
            counted = counted if counted > 0 else float(len(near)) * (counted < 0)
            self._mass.update(
                self._working, np.asarray(after.log_mass), scores[:, -1], min(counted, len(near))
            )
        indices = self._working[found.indices].astype(np.int32)
        return SearchResult(indices, found.scores, found.diagnostics)

    def _exchange(self, wanted: np.ndarray) -> None:
        """The wanted items, and of those before as many as there is room for, in order."""
        room = len(self._working)
        if room == len(self):
            return
        older = self._working[~np.isin(self._working, wanted)]
        # Newest first among the older, so that long unused ones fall out; then by position.
        working = np.concatenate([wanted, older])[:room]
        at = {int(position): i for i, position in enumerate(self._working)}
        origin = np.array([at.get(int(position), -1) for position in working], np.int32)
        rows = np.asarray(self._all[working], np.float32)
        self._working = working
        self._adapter.exchange(rows, origin, self._mass.log_mass(working))
