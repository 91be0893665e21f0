"""Checkpoints: a whole state by name, written by Orbax, the newest ones kept."""

from pathlib import Path
from typing import Any, TypeVar

import jax
import orbax.checkpoint as ocp

from reex_jax.errors import UserError

Tree = TypeVar("Tree")


def _by_name(tree: Any) -> dict[str, jax.Array]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def open_checkpoints(folder: Path, keep: int = 2) -> ocp.CheckpointManager:
    """A manager over `folder` that keeps the newest `keep` checkpoints; close it at the end."""
    # Of several processes one writes and reads; Orbax must not wait for the others.
    index = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=index, active_processes={index}, barrier_sync_key_prefix=f"process_{index}"
    )
    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep,
        create=jax.process_count() == 1,
        **({"multiprocessing_options": alone} if jax.process_count() > 1 else {}),
    )
    handler = ocp.StandardCheckpointHandler()  # without it, shapes cannot be read back alone
    return ocp.CheckpointManager(folder.resolve(), options=options, item_handlers=handler)


def save_state(manager: ocp.CheckpointManager, step: int, state: Any) -> None:
    """Saves a pytree of arrays as the state after `step` steps; returns before it is written."""
    manager.save(step, args=ocp.args.StandardSave(_by_name(state)))


def restore_latest(manager: ocp.CheckpointManager, state: Tree) -> tuple[Tree, int]:
    """The newest saved state and its step; `state` itself and 0 if nothing was saved.

    Args:
        manager: from `open_checkpoints`.
        state: a state of the shape to be restored; its arrays say shapes, dtypes and devices.

    Raises:
        UserError: what was saved belongs to another model or optimiser.
    """
    step = manager.latest_step()
    if step is None:
        return state, 0
    named = _by_name(state)
    # Compared first: a restore that fails midway leaves its reads of other arrays hanging.
    saved = {name: tuple(array.shape) for name, array in manager.item_metadata(step).items()}
    if saved != {name: array.shape for name, array in named.items()}:
        raise UserError(
            f"{manager.directory}: the checkpoint of step {step} does not fit this configuration; "
            "give another folder or the configuration it was made with"
        )
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, named)
    restored = manager.restore(step, args=ocp.args.StandardRestore(abstract))
    return jax.tree.unflatten(jax.tree.structure(state), [restored[k] for k in named]), step
