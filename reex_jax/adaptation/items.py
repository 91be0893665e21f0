"""The items that an adapter searches: which they are, and what becomes of them.

A change of the gallery is an array `origin` [M] int32: for each item of the new gallery the
position that it had in the old one, -1 for a new item. All state that is about items follows it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reex_jax import hosts
from reex_jax.adaptation.saved import hash_of, read_identity
from reex_jax.errors import UserError
from reex_jax.retrieval.gallery import check_embeddings, check_ids
from reex_jax.retrieval.rows import Rows, fingerprints, open_rows


@dataclass(frozen=True, eq=False)
class Items:
    """What an adapter searches; the rows themselves lie on the devices alone.

    Attributes:
        ids: N different ones.
        prints: [N] uint64 fingerprints of the rows as they were given.
        dim: their width.
    """

    ids: tuple[str, ...]
    prints: np.ndarray
    dim: int

    def plus(self, ids: Iterable[str], embeddings: Any) -> tuple["Items", np.ndarray, Rows]:
        """The items with new ones behind them, each one's origin, and the new rows.

        Raises:
            UserError: an id that is here already or comes twice, as many ids as rows are not given,
                rows that are no unit vectors or of another width.
        """
        new, rows = checked_items(embeddings, ids, self.dim)
        known = set(self.ids).intersection(new.ids)
        if known:
            raise UserError(
                f"gallery id {min(known)!r} is there already; remove it first, or give another id"
            )
        prints = np.concatenate([self.prints, new.prints])
        origin = np.full(len(prints), -1, np.int32)
        origin[: len(self.ids)] = np.arange(len(self.ids))
        return Items(self.ids + new.ids, prints, self.dim), origin, rows

    def minus(self, ids: Iterable[str]) -> tuple["Items", np.ndarray]:
        """The items without some, in the same order, and each one's origin.

        Raises:
            UserError: an id that is not here, or no item would be left.
        """
        gone = set(_ids(ids))
        unknown = gone.difference(self.ids)
        if unknown:
            raise UserError(f"gallery id {min(unknown)!r} is not there, so it cannot be removed")
        origin = np.array([i for i, one in enumerate(self.ids) if one not in gone], np.int32)
        if not origin.size:
            raise UserError("all items would be removed, but a gallery needs at least one")
        return self.at(origin), origin

    def at(self, positions: np.ndarray) -> "Items":
        """The items at some positions."""
        return Items(tuple(self.ids[i] for i in positions), self.prints[positions], self.dim)

    def identity(self) -> dict[str, Any]:
        """What a saved state keeps of them; None stands for ids that are positions."""
        ids = None if self.ids == _positions(len(self.ids)) else self.ids
        return {"items": len(self.ids), "ids": ids, "gallery": hash_of((self.prints, self.dim))}

    def saved_in(self, path: str | Path) -> tuple[np.ndarray, int]:
        """Where a saved adapter's items are in this gallery, [K] int32; and its places.

        Raises:
            UserError: nothing was saved there, or with an item that is not here.
        """
        saved = read_identity(path)
        count, ids = saved.get("items"), saved.get("ids")
        if not isinstance(count, int) or not isinstance(ids, list | None):
            raise UserError(f"{path} does not say which items its gallery had; save it anew")
        names = _positions(count) if ids is None else ids
        here = {identity: i for i, identity in enumerate(self.ids)}
        missing = [name for name in names if name not in here]
        if missing:
            raise UserError(
                f"{path} was saved with a gallery of {count} items, of which this one lacks "
                f"{len(missing)}, the first is {missing[0]!r}; make the Adapter with the saved "
                "ids and embeddings, restore, then remove what is gone"
            )
        places = saved.get("places", count)
        return np.array([here[name] for name in names], np.int32), places


def checked_items(embeddings: Any, ids: Iterable[str] | None, dim: int) -> tuple[Items, Rows]:
    """Items and their rows from what a user gives; positions as text for ids that are None.

    Of several processes each reads and checks its share of the rows.

    Raises:
        UserError: no unit rows, of another width than `dim`, ids that repeat or are not as many
            as rows, or see `open_rows`; in one process or in all.
    """

    def checked() -> tuple[tuple[str, ...], Rows, np.ndarray]:
        rows = open_rows(embeddings)
        count = len(rows) if rows.ndim else 0
        names = None if ids is None else _ids(ids)
        if names is not None:
            check_ids(names, count)
        own = hosts.own_part(count)
        check_embeddings(rows, names, own)
        if rows.shape[1] != dim:
            raise UserError(
                f"gallery embeddings are {rows.shape[1]} wide, but the model's queries are "
                f"{dim} wide; embed the gallery with the same checkpoint"
            )
        return _positions(count) if names is None else names, rows, fingerprints(rows[own])

    names, rows, own = hosts.together(checked)
    if hosts.several():
        hosts.check_same("gallery items", "\n".join(names))
    prints = hosts.concatenated(own.view(np.uint32).reshape(-1, 2), len(rows))
    return Items(names, np.ascontiguousarray(prints).view(np.uint64)[:, 0], dim), rows


def _ids(ids: Iterable[str]) -> tuple[str, ...]:
    names = (ids,) if isinstance(ids, str) else tuple(ids)
    for name in names:
        if not isinstance(name, str):
            raise UserError(f"gallery id {name!r} is no text; write str({name!r})")
    return names


def _positions(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))
