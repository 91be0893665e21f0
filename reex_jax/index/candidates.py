"""Adaptation and calibration over large indexes: only what a back end returns is looked at.

For every batch the back end names the candidates of each query. Together with those of the batches
before, as many as there is room for, they are the gallery that an `Adapter` works on: plausible and
exclusion sets, proxies, fusion and ranking are those of the paper's method on this working set. The
step is compiled once, since the set always has the same size.

Calibration counts what a batch shows of every item of the working set. What the stream had shown
of an item before it came in is estimated from the remembered queries, scaled to all that counted,
as `Adapter.add` does for new items: exact while no more queries have counted than are remembered
and the encoder is the source's. So a batch costs nothing that grows with the index.
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
from reex_jax.retrieval.calibration import Calibration
from reex_jax.retrieval.rows import fingerprints
from reex_jax.settings.adaptation import AdaptSettings
from reex_jax.settings.ranking import Ranking

_ROOM = 1024
"""Items of earlier batches that stay in the working set, at least: methods remember proxies."""


RECENT = 2048
"""Queries that are remembered, for estimates of what was not in the working set."""


def shown_by_recent(state: Calibration, items: np.ndarray, temperature: float) -> np.ndarray:
    """log of the mass [n] float32 that the remembered queries give items [n, d], scaled to all.

    As `retrieval.calibration.with_items`, on the host: there each number of items compiles anew.

    Args:
        state: what was seen.
        items: unit rows.
        temperature: of the exponentials, in units of cosine.
    """
    recent = np.asarray(state.recent)
    recent = recent[(recent != 0).any(axis=1)]
    if not len(recent):
        return np.full(len(items), _EMPTY, np.float32)
    scores = items @ recent.T / np.float32(temperature)
    highest = scores.max(axis=1)
    logs = highest + np.log(np.exp(scores - highest[:, None]).sum(axis=1))
    scale = np.log(max(float(state.seen), 1.0) / len(recent))
    return (logs + scale).astype(np.float32)


_EMPTY = -1e30  # as in `retrieval.calibration`


class _WorkingAdapter(Adapter):
    """An adapter whose gallery is exchanged for another of the same size."""

    def exchange(self, rows: np.ndarray, origin: np.ndarray) -> None:
        """Goes on with other rows [M, d]; `origin` [M]: where each was before, -1 for new ones."""
        state = first_copy(self._state)
        t = float(self._ranking.relative_temperature * float(self._constants.temperature))
        mass = np.asarray(state.calibration.log_mass)[origin]
        new = origin < 0
        mass[new] = shown_by_recent(state.calibration, rows[new], t)
        state = state._replace(
            objective=self._objective.regrown(state.objective, origin),
            calibration=state.calibration._replace(log_mass=jnp.asarray(mass)),
        )
        self._gallery.exchange(rows)
        self._follow(Items(self.ids, fingerprints(rows), rows.shape[1]), state)

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
            **settings: of `Adapter`, but `ids`; without `ranking` it remembers RECENT queries.

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
        settings.setdefault("ranking", Ranking(recent=RECENT))
        self._adapter = _WorkingAdapter(model, rows, query=query, **settings)
        if self._adapter.calibration == "sinkhorn":
            raise UserError(
                "rank.calibration 'sinkhorn' needs every item's score; set it to inverted_softmax "
                "or off, or search exactly"
            )

    def __len__(self) -> int:
        return len(self._all)

    def reset(self, seed: int | None = None) -> None:
        """Forgets everything, see `Adapter.reset`."""
        self._adapter.reset(seed)

    def search(self, queries: Any, k: int = 10, *, learn: bool = True) -> SearchResult:
        """As `Adapter.search`; positions are those of the index.

        Raises:
            UserError: k is not in 1..candidates; see `Adapter.search`.
        """
        if not 1 <= k <= self._most:
            raise UserError(f"k is {k}, but must lie in 1..{self._most}, the candidates of a query")
        _, near = self._backend.search(np.asarray(self._adapter.embed(queries)), self._most)
        self._exchange(np.unique(near[near >= 0]))
        found = self._adapter.search(queries, k, learn=learn)
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
        self._adapter.exchange(rows, origin)
