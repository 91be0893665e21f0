"""Adapters that keep what was learned, in a folder and while their gallery grows and shrinks."""

from collections.abc import Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from reex_jax.adaptation.encoder import Constants, QueryEncoder
from reex_jax.adaptation.fused import FusionRule
from reex_jax.adaptation.items import Items
from reex_jax.adaptation.objective import Objective, Start
from reex_jax.adaptation.parts import Parts
from reex_jax.adaptation.replicas import first_copy, replicate
from reex_jax.adaptation.saved import hash_of, restore_adapter, save_adapter
from reex_jax.adaptation.state import AdaptState, initial_state
from reex_jax.errors import UserError
from reex_jax.hosts import from_first
from reex_jax.retrieval.calibration import Calibration, with_items, without_items
from reex_jax.retrieval.device_gallery import DeviceGallery
from reex_jax.settings.adaptation import AdaptSettings
from reex_jax.settings.fields import Settings
from reex_jax.settings.ranking import Ranking


class GrowingAdapter:
    """The part of an `Adapter` that keeps what was learned, in a folder and for another gallery."""

    _method: str
    _query: str
    _objective: Objective
    _own: Settings
    _settings: AdaptSettings
    _encoder: QueryEncoder
    _fusion: FusionRule | None
    _ranking: Ranking
    _devices: list[jax.Device]
    _items: Items
    _constants: Constants
    _replicated: Constants
    _gallery: DeviceGallery
    _state: AdaptState

    @property
    def parts(self) -> Parts:
        """What it is made of; `side_by_side` runs several streams with it."""
        return Parts(
            self._objective,
            self._encoder,
            self._settings,
            self._ranking,
            self._constants,
            self._replicated,
        )

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the gallery's items, by position."""
        return self._items.ids

    def add(self, ids: Iterable[str], embeddings: ArrayLike) -> None:
        """Puts items behind the others and keeps what was learned.

        What the next call needs is compiled anew, so many items at once are cheaper than one by
        one.

        Args:
            ids: of the new items.
            embeddings: [n, d] float32 unit rows, made by the same model as the gallery.

        Raises:
            UserError: ids that are there already, repeat or are not as many as rows, or rows that
                could be in no gallery. Nothing has changed then.
        """
        self._change_gallery(*self._items.plus(ids, embeddings))

    def remove(self, ids: Iterable[str]) -> None:
        """Takes items out and keeps what was learned; positions of those behind them fall.

        Raises:
            UserError: ids that are not there, or all of them. Nothing has changed then.
        """
        self._change_gallery(*self._items.minus(ids))

    def save(self, path: str | Path) -> None:
        """Writes the whole state to a folder, over what an earlier `save` wrote there.

        Of several processes the first writes.

        Raises:
            UserError: the folder holds something else.
        """
        identity = self._identity | self._items.identity()
        state = jax.device_get(first_copy(self._state))
        from_first(lambda: save_adapter(path, identity, state))

    def restore(self, path: str | Path) -> None:
        """Goes on from what `save` wrote; the next batch gives the same numbers as then.

        The gallery may have more items than the saved one, in any order: ids tell which are new.

        Of several processes the first reads.

        Raises:
            UserError: nothing was saved there, or by an adapter of another method, query, model or
                settings (the number of devices may differ, and the seed comes back), or with items
                that this gallery lacks or embeds otherwise.
        """
        now = jax.tree.structure(first_copy(self._state))
        leaves = from_first(lambda: jax.device_get(jax.tree.leaves(self._read(path))))
        self._state = replicate(jax.tree.unflatten(now, leaves), self._devices)

    def _read(self, path: str | Path) -> AdaptState:
        """A saved state, for the gallery as it is now."""
        there = self._items.saved_in(path)
        items, origin = self._items.at(there), np.full(len(self.ids), -1, np.int32)
        origin[there] = np.arange(len(there))
        constants = self._constants._replace(gallery=_as_array(items))
        like = jax.device_get(self._first_state(constants))
        state = restore_adapter(path, self._identity | items.identity(), like)
        return self._regrown(state, self._items, origin)

    def _first_state(self, constants: Constants, seed: int | None = None) -> AdaptState:
        return initial_state(self._objective, self._settings, constants, self._ranking, seed)

    def _change_gallery(self, items: Items, origin: np.ndarray) -> None:
        state = self._regrown(first_copy(self._state), items, origin)
        rows = _as_array(items)
        self._items, self._constants = items, self._constants._replace(gallery=rows)
        self._replicated = self._replicated._replace(gallery=replicate(rows, self._devices))
        self._gallery = DeviceGallery(self._replicated.gallery.addressable_shards[0].data)
        self._state = replicate(state, self._devices)

    def _regrown(self, state: AdaptState, items: Items, origin: np.ndarray) -> AdaptState:
        """A state for another gallery: parameters, optimiser and memory stay."""
        own = self._objective.regrown(state.objective, origin)
        start = Start(self._settings.batch_size, items.rows, self._constants.source)
        if _shapes(own) != _shapes(self._objective.init(start)):
            raise UserError(
                f"method {self._method!r} keeps something of each gallery item, and does not say "
                "how that follows another gallery; give its Objective `regrown`, or make a new "
                "Adapter"
            )
        calibration = recalibrated(
            state.calibration, items.rows, origin, self._constants.temperature, self._ranking
        )
        return state._replace(objective=own, calibration=calibration)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        settings = self._own.to_dict() | self._settings.to_dict()
        for name in ("devices", "remat", "seed"):  # the seed is part of the state
            del settings[name]
        return {
            "method": self._method,
            "query": self._query,
            "fusion": self._fusion and asdict(self._fusion),
            "ranking": self._ranking.to_dict(),
            "settings": settings,
            "model": hash_of((self._constants.source, self._constants.frozen)),
        }


def recalibrated(
    state: Calibration,
    rows: np.ndarray,
    origin: np.ndarray,
    temperature: jax.Array,
    ranking: Ranking,
) -> Calibration:
    """What the stream has shown, for another gallery.

    Args:
        state: of the old gallery.
        rows: [M, d], the new one.
        origin: see `items`.
        temperature: the model's own.
        ranking: how ranking corrects for hubs.
    """
    old = origin >= 0
    kept = np.zeros(state.log_mass.shape[0], bool)
    kept[origin[old]] = True
    state = without_items(state, jnp.asarray(kept))
    if not old.all():
        state = with_items(state, jnp.asarray(rows[~old]), temperature, ranking)
    # Now the kept ones in their old order, then the new ones: bring them to their places.
    places = np.where(old, np.cumsum(kept)[origin] - 1, kept.sum() + np.cumsum(~old) - 1)
    return state._replace(log_mass=state.log_mass[places])


def _as_array(items: Items) -> jax.Array:
    """The rows as they are: they come to a device when they are replicated."""
    return cast(jax.Array, items.rows)


def _shapes(tree: Any) -> Any:
    return jax.tree.structure(tree), [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]
