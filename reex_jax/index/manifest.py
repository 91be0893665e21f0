"""`index.json`: what an index is made of and how much of its files counts.

The only file that is ever replaced, and that in one step: what a killed process wrote behind the
items that it counts is not there for anyone, and the next writer writes over it.
"""

import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from reex_jax.errors import UserError
from reex_jax.files import home, read_json
from reex_jax.index.identity import ModelIdentity
from reex_jax.settings.choices import QUERIES
from reex_jax.settings.indexing import DTYPES

MANIFEST = "index.json"
FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """An index in a few words.

    Attributes:
        model: that embedded it.
        modality: "image" or "text": what its items are.
        dtype: of the embeddings, one of DTYPES.
        items: how many rows of the files count.
        rows: the folder in which the files lie; another one after a removal.
        captions: whether any item has a caption.
        imported: from what the embeddings came, where this project did not make them; else "".
    """

    model: ModelIdentity
    modality: str
    dtype: str
    items: int = 0
    rows: str = "rows-1"
    captions: bool = False
    imported: str = ""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """From what `to_dict` gave.

        Raises:
            ValueError: something is missing or impossible.
        """
        model = ModelIdentity.from_dict(values.get("model"))
        kinds = {"modality": str, "dtype": str, "items": int, "rows": str, "captions": bool}
        for key, kind in (kinds | {"imported": str}).items():
            if not isinstance(values.get(key), kind):
                raise ValueError(f"{key} is missing or not {kind.__name__}")
        if values["modality"] not in QUERIES or values["dtype"] not in DTYPES:
            raise ValueError(f"modality {values['modality']!r} or dtype {values['dtype']!r}")
        rows = values["rows"]
        if not rows.startswith("rows-") or not rows[5:].isdigit() or values["items"] < 0:
            raise ValueError(f"rows {rows!r} or items {values['items']}")
        return cls(model, **{key: values[key] for key in (*kinds, "imported")})

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        own = {key: value for key, value in vars(self).items() if key != "model"}
        return {"format": FORMAT, **own, "model": self.model.to_dict()}

    def next_rows(self) -> "Manifest":
        """The same with the name of another folder for the files."""
        return replace(self, rows=f"rows-{int(self.rows[5:]) + 1}")

    @property
    def array_dtype(self) -> np.dtype:
        """Of the embeddings on disk."""
        return np.dtype(self.dtype).newbyteorder("<")


def read_manifest(folder: str | Path) -> Manifest:
    """The manifest of an index.

    Raises:
        UserError: no index there, one of another format, or a damaged one.
    """
    path = home(folder) / MANIFEST
    if not path.is_file():
        raise UserError(
            f"{folder}: no index ({MANIFEST} is missing); build one: python -m reex_jax.index "
            f"build --images FOLDER --out {folder}"
        )
    values = read_json(path)
    if values.get("format") != FORMAT:
        raise UserError(
            f"{path}: has format {values.get('format')!r}, this version reads {FORMAT}; build the "
            "index anew, or use the version that made it"
        )
    try:
        return Manifest.from_dict(values)
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); build the index anew") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replaces the manifest in one step; on the disk when it returns."""
    content = json.dumps(manifest.to_dict(), indent=2) + "\n"
    handle, name = tempfile.mkstemp(prefix=f"{MANIFEST}.", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, folder / MANIFEST)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Makes names of new files last, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
