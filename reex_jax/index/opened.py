"""An index as searches read it."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from reex_jax.errors import UserError
from reex_jax.files import home
from reex_jax.index.identity import ModelIdentity, identity_of
from reex_jax.index.manifest import Manifest, read_manifest
from reex_jax.index.rows import Rows, open_rows
from reex_jax.models.two_tower import TwoTower


class Index:
    """Items with their embeddings, mapped into memory: opening it reads nearly nothing.

    It stays what it was when it was opened, whatever is added or removed later; open it again to
    see that.

    Attributes:
        folder: where it lies.
        manifest: what it is made of.
        embeddings: [N, d] float16 or float32 unit rows, read-only.
        ids: of the items, by position; no two the same.
        captions: of the items, "" where one has none; None if no item has one. Of texts, the texts.
        places: where each item came from, for people.
    """

    def __init__(self, folder: Path, manifest: Manifest, rows: Rows) -> None:
        """See `open_index`."""
        self.folder, self.manifest, self._rows = folder, manifest, rows
        self.embeddings: np.ndarray = rows.embeddings
        self.ids: Sequence[str] = rows.texts("ids")
        self.captions: Sequence[str] | None = rows.texts("captions") if manifest.captions else None
        self.places: Sequence[str] = rows.texts("places")

    def __len__(self) -> int:
        return self.manifest.items

    @property
    def modality(self) -> str:
        """What the items are: "image" or "text"; queries are the other."""
        return self.manifest.modality

    @property
    def identity(self) -> ModelIdentity:
        """Of the model that embedded the items."""
        return self.manifest.model

    @property
    def rows(self) -> Rows:
        """The columns as they lie on the disk."""
        return self._rows

    def thumbnail(self, position: int) -> bytes | None:
        """A small WebP or JPEG of the item at a position; None if there is none."""
        return self._rows.blobs["thumbnails"][position] or None

    def position(self, identity: str) -> int:
        """Where an id stands.

        Raises:
            UserError: no item has it.
        """
        if identity not in self._positions:
            raise UserError(f"{self.folder}: no item has the id {identity!r}")
        return self._positions[identity]

    def check_model(self, model: TwoTower) -> None:
        """Raises UserError unless it is the model that embedded this index."""
        self.identity.refuse(identity_of(model), self.folder)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self._rows.texts("ids").whole())}


def open_index(folder: str | Path, model: TwoTower | None = None) -> Index:
    """Opens an index for reading.

    Args:
        folder: that `python -m reex_jax.index build` wrote.
        model: with which it will be searched; it is compared with the index's own, by the hashes
            of its files. None: not compared.

    Raises:
        UserError: no index there, a damaged or empty one, or another model.
    """
    place = home(folder)
    index = _opened(place)
    if not len(index):
        raise UserError(f"{folder}: the index holds no items yet; build it with the same command")
    if model is not None:
        index.check_model(model)
    return index


def _opened(folder: Path) -> Index:
    """A removal that ends between the two reads takes the files away: then once more."""
    manifest = read_manifest(folder)
    try:
        return Index(folder, manifest, open_rows(folder, manifest))
    except UserError:
        newer = read_manifest(folder)
        if newer == manifest:
            raise
        return Index(folder, newer, open_rows(folder, newer))
