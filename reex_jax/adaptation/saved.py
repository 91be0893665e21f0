"""Adapters in folders: the whole state, and of what adapter it is."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from reex_jax.adaptation.state import AdaptState
from reex_jax.checkpoints import open_checkpoints, restore_latest, save_state
from reex_jax.errors import UserError
from reex_jax.files import home

IDENTITY = "adapter.json"


def hash_of(tree: Any) -> str:
    """SHA-256 of a pytree's arrays: paths, shapes, dtypes and bytes."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(jax.device_get(leaf))
        digest.update(f"{jax.tree_util.keystr(path)} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def save_adapter(path: str | Path, identity: dict[str, Any], state: AdaptState) -> None:
    """Writes a state to a folder, over what an earlier call wrote there.

    Args:
        path: a folder that is new, empty, or holds a saved adapter.
        identity: what must be equal in the adapter that goes on from here; plain values.
        state: everything that changes.

    Raises:
        UserError: the folder holds something else, or is a file.
    """
    folder = home(path)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give a new or empty folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / IDENTITY).is_file():
        raise UserError(f"{folder} holds something else; give a new or empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / IDENTITY).write_text(_text(identity), "utf-8")
    with open_checkpoints(folder, keep=1) as manager:
        # Not the number of batches: a manager passes over, in silence, a step before its last.
        save_state(manager, (manager.latest_step() or 0) + 1, state)


def read_identity(path: str | Path) -> dict[str, Any]:
    """Of what adapter a saved state is.

    Raises:
        UserError: nothing was saved there, or the file is damaged.
    """
    file = home(path) / IDENTITY
    if not file.is_file():
        raise UserError(f"{path} holds no saved adapter ({IDENTITY} is missing)")
    try:
        saved = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"{file} is damaged ({error}); save the adapter anew") from error
    if not isinstance(saved, dict):
        raise UserError(f"{file} is damaged (no mapping); save the adapter anew")
    return saved


def restore_adapter(path: str | Path, identity: dict[str, Any], state: AdaptState) -> AdaptState:
    """The state that `save_adapter` wrote.

    Args:
        path: the folder.
        identity: of the adapter that goes on.
        state: of its shape, on its device.

    Raises:
        UserError: nothing was saved there, or by an adapter of another identity.
    """
    saved, plain = read_identity(path), json.loads(_text(identity))
    for key in identity:
        own, theirs = plain[key], saved.get(key)
        if theirs != own:
            raise UserError(
                f"{path} was saved with {_difference(key, theirs, own)}; make an Adapter like the "
                "saved one"
            )
    with open_checkpoints(home(path), keep=1) as manager:
        try:
            restored, step = restore_latest(manager, state)
        except Exception as error:  # orbax and its stores raise many sorts
            raise UserError(
                f"{path}: the saved state is damaged ({type(error).__name__}: {error!s:.200}); "
                "save the adapter anew"
            ) from error
    if step == 0:
        raise UserError(f"{path} holds no saved state beside {IDENTITY}; save the adapter anew")
    return restored


def _text(identity: dict[str, Any]) -> str:
    return json.dumps(identity, indent=2, sort_keys=True, default=str) + "\n"


def _difference(key: str, theirs: Any, own: Any) -> str:
    if isinstance(own, dict) and isinstance(theirs, dict):
        name = next(n for n in sorted({*own, *theirs}) if own.get(n) != theirs.get(n))
        return _difference(f"{key} {name}", theirs.get(name), own.get(name))
    if key in ("model", "gallery"):
        return f"another {key}"
    return f"{key} {theirs!r}, but this adapter has {own!r}"
