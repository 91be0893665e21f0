"""Adapters that keep what was learned, in a folder and while their gallery grows and shrinks."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from reex_jax.adaptation.encoder import Constants, QueryEncoder, uncut
from reex_jax.adaptation.fused import FusionRule
from reex_jax.adaptation.items import Items
from reex_jax.adaptation.objective import Objective
from reex_jax.adaptation.parts import Parts
from reex_jax.adaptation.replicas import first_copy, replicate
from reex_jax.adaptation.saved import hash_of, restore_adapter, save_adapter
from reex_jax.adaptation.state import AdaptState, initial_state
from reex_jax.errors import UserError
from reex_jax.hosts import from_first
from reex_jax.retrieval.calibration import regrown
from reex_jax.retrieval.device_gallery import DeviceGallery
from reex_jax.retrieval.rows import Rows
from reex_jax.settings.adaptation import AdaptSettings
from reex_jax.settings.fields import Settings
from reex_jax.settings.ranking import Ranking

_NO_ROWS = np.zeros((0, 1), np.float32)


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
    _update: Any
    _correct: Callable[[Any, jax.Array, jax.Array | None], jax.Array]

    @property
    def parts(self) -> Parts:
        """What it is made of; `side_by_side` runs several streams with it."""
        return Parts(
            self._objective,
            self._encoder,
            self._settings,
            self._ranking,
            self._with_places(self._gallery.places),
            self._replicated,
        )

    @property
    def program(self) -> tuple[Any, Constants, AdaptState]:
        """The compiled step, and what it takes first; it uses up the state that it is given."""
        return self._update, self._replicated, self._state

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the gallery's items, by position."""
        return self._items.ids

    def add(self, ids: Iterable[str], embeddings: ArrayLike | str | Path) -> None:
        """Puts items behind the others and keeps what was learned.

        Where `gallery_settings.spare` or items that were removed left no place for them, the
        gallery moves to new buffers, and what the next call needs is compiled anew.

        Args:
            ids: of the new items.
            embeddings: [n, d] unit rows, made by the same model as the gallery; or the path of a
                .npy file with them.

        Raises:
            UserError: ids that are there already, repeat or are not as many as rows, or rows that
                could be in no gallery. Nothing has changed then.
        """
        items, origin, rows = self._items.plus(ids, embeddings)
        places = self._gallery.places_with(len(rows))
        state = self._regrown(first_copy(self._state), places, origin, rows)
        self._gallery.add(rows)
        self._follow(items, state)

    def remove(self, ids: Iterable[str]) -> None:
        """Takes items out and keeps what was learned; positions of those behind them fall.

        Raises:
            UserError: ids that are not there, or all of them. Nothing has changed then.
        """
        items, origin = self._items.minus(ids)
        places = self._gallery.places
        state = self._regrown(first_copy(self._state), places, origin, _NO_ROWS)
        self._gallery.keep(origin)
        self._follow(items, state)

    def save(self, path: str | Path) -> None:
        """Writes the whole state to a folder, over what an earlier `save` wrote there.

        Of several processes the first writes.

        Raises:
            UserError: the folder holds something else.
        """
        identity = self._identity | self._items.identity() | {"places": self._gallery.places}
        state = jax.device_get(first_copy(self._state))
        from_first(lambda: save_adapter(path, identity, state))

    def restore(self, path: str | Path) -> None:
        """Goes on from what `save` wrote; the next batch gives the same numbers as then.

        The gallery may have more items than the saved one, in any order: ids tell which are new.

        Of several processes the first reads; their number may differ.

        Raises:
            UserError: nothing was saved there, or by an adapter of another method, query, model or
                settings (the number of devices may differ, and the seed comes back), or with items
                that this gallery lacks or embeds otherwise.
        """
        there, leaves = from_first(lambda: self._read(path))
        saved = jax.tree.unflatten(jax.tree.structure(first_copy(self._state)), leaves)
        origin = np.full(len(self.ids), -1, np.int32)
        origin[there] = np.arange(len(there))
        new = self._gallery.at(np.flatnonzero(origin < 0))
        state = self._regrown(saved, self._gallery.places, origin, new)
        self._state = replicate(state, self._devices)

    def _read(self, path: str | Path) -> tuple[np.ndarray, list[np.ndarray]]:
        """Where the items of a saved state are in this gallery, and its arrays."""
        there, places = self._items.saved_in(path)
        like = jax.device_get(self._first_state(places))
        identity = self._identity | self._items.at(there).identity()
        return there, jax.tree.leaves(jax.device_get(restore_adapter(path, identity, like)))

    def _first_state(self, places: int, seed: int | None = None) -> AdaptState:
        constants = self._with_places(places)
        return initial_state(self._objective, self._settings, constants, self._ranking, seed)

    def _with_places(self, places: int) -> Constants:
        """The constants with the shape of a gallery, whose rows lie on the devices alone."""
        gallery = jax.ShapeDtypeStruct((places, self._items.dim), jnp.float32)
        return self._constants._replace(gallery=gallery)

    def _follow(self, items: Items, state: AdaptState) -> None:
        """Takes over a state after the gallery on the devices has changed."""
        self._items = items
        self._replicated = self._with_gallery(self._replicated)
        self._state = replicate(state, self._devices)

    def _with_gallery(self, replicated: Constants) -> Constants:
        items = replicate(jnp.int32(self._gallery.size), self._devices)
        return replicated._replace(gallery=self._gallery.rows, items=items)

    def _regrown(self, state: AdaptState, places: int, origin: np.ndarray, new: Rows) -> AdaptState:
        """A state for another gallery: parameters, optimiser and memory stay.

        Args:
            state: on one device.
            places: of the new gallery.
            origin: see `items`; free places behind it are added here.
            new: the rows that `origin` has -1 for.
        """
        origin = np.pad(origin, (0, places - len(origin)), constant_values=-1)
        own = self._objective.regrown(state.objective, origin)
        if _shapes(own) != _shapes(self._first_state(places).objective):
            raise UserError(
                f"method {self._method!r} keeps something of each gallery item, and does not say "
                "how that follows another gallery; give its Objective `regrown`, or make a new "
                "Adapter"
            )
        temperature = self._constants.temperature
        calibration = regrown(state.calibration, origin, new, temperature, self._ranking)
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
            "model": hash_of((self._constants.source, uncut(self._constants.frozen))),
        }


def _shapes(tree: Any) -> Any:
    return jax.tree.structure(tree), [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]
