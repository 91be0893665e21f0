"""Changes an index: whole steps that survive a kill at any moment, one process at a time."""

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from filelock import FileLock, Timeout

from reex_jax.errors import UserError
from reex_jax.files import home
from reex_jax.index.identity import ModelIdentity
from reex_jax.index.manifest import MANIFEST, Manifest, read_manifest, sync_folder, write_manifest
from reex_jax.index.rows import Row, Rows, append_rows, copy_rows, open_rows

_LOCK = ".lock"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class IndexWriter:
    """An index that is being changed; a context manager, which holds the index's lock."""

    def __init__(self, folder: str | Path, new: Manifest | None = None) -> None:
        """Opens or makes an index.

        Args:
            folder: of the index.
            new: what to make where no index is; None refuses that. Where one is, its model,
                modality and dtype must be these.

        Raises:
            UserError: no index there and `new` is None, the folder holds something else, another
                model, or another process is changing the index.
        """
        self.folder = home(folder)
        if new is None:
            read_manifest(self.folder)
        elif not (self.folder / MANIFEST).is_file():
            _refuse_other(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.folder / _LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(
                f"{self.folder}: another process is changing this index; wait for it to end"
            ) from error
        try:
            self.manifest = self._begin(new)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def rows(self) -> Rows:
        """What counts now."""
        return open_rows(self.folder, self.manifest)

    def append(self, rows: Sequence[Row]) -> None:
        """Puts rows behind the others: all of them, or none where it fails.

        Their ids must be new; whoever calls this knows all ids.

        Raises:
            UserError: the disk is full.
        """
        if not rows:
            return
        captions = self.manifest.captions or any(row.caption for row in rows)
        with self._kept():
            append_rows(self.folder, self.manifest, rows)
            items = self.manifest.items + len(rows)
            self._count(replace(self.manifest, items=items, captions=captions))

    def remove(self, positions: Sequence[int] | np.ndarray) -> None:
        """Takes rows out, by writing all others anew; positions of those behind them fall.

        Raises:
            UserError: the disk is full.
        """
        gone = np.unique(np.asarray(positions, np.int64))
        if not gone.size:
            return
        old = self.manifest
        kept = np.setdiff1d(np.arange(old.items), gone, assume_unique=True)
        new = replace(old.next_rows(), items=len(kept))
        with self._kept():
            if kept.size:
                copy_rows(self.folder, old, new, kept)
            self._count(new)
        self._sweep()

    def _begin(self, new: Manifest | None) -> Manifest:
        if not (self.folder / MANIFEST).is_file() and new is not None:
            write_manifest(self.folder, new)
        manifest = read_manifest(self.folder)
        if new is not None:
            refuse_other(manifest, new.model, new.modality, new.dtype, self.folder)
        self.manifest = manifest
        self._sweep()
        open_rows(self.folder, manifest)
        return manifest

    def _count(self, manifest: Manifest) -> None:
        if (self.folder / manifest.rows).is_dir():
            sync_folder(self.folder / manifest.rows)
        write_manifest(self.folder, manifest)
        self.manifest = manifest

    def _sweep(self) -> None:
        """Takes away what a killed removal left; those who have it open keep it."""
        for path in self.folder.glob("rows-*"):
            if path.is_dir() and path.name != self.manifest.rows:
                shutil.rmtree(path, ignore_errors=True)
        for path in self.folder.glob(f"{MANIFEST}.*"):
            path.unlink(missing_ok=True)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise UserError(
                f"{self.folder}: the disk is full; the {self.manifest.items} items before are "
                "kept; free some space, then give the same command again"
            ) from error


def refuse_other(
    manifest: Manifest, model: ModelIdentity, modality: str, dtype: str, folder: Path
) -> None:
    """Raises UserError where an index has another model, modality or dtype."""
    manifest.model.refuse(model, folder)
    wanted = (("items", manifest.modality, modality), ("dtype", manifest.dtype, dtype))
    for what, own, other in wanted:
        if own != other:
            raise UserError(
                f"{folder}: this index has {what} {own!r}, not {other!r}; give another --out"
            )


def _refuse_other(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give a new or empty folder")
    if folder.is_dir() and any(path.name != _LOCK for path in folder.iterdir()):
        raise UserError(f"{folder}: holds something else than an index; give a new or empty folder")
