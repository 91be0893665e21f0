"""Embeds batches on several devices at once: each has a copy of the tower and its own batches."""

from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import cycle
from typing import Any, TypeVar

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from reex_jax.arrays import unit
from reex_jax.errors import UserError
from reex_jax.models.batches import padded_rows
from reex_jax.models.two_tower import TwoTower

Label = TypeVar("Label")


def embedding_devices(count: int) -> list[jax.Device]:
    """The first `count` devices of this machine; all of them for 0.

    Raises:
        UserError: there are not so many.
    """
    there = jax.local_devices()
    if count > len(there):
        raise UserError(f"build.devices is {count}, but this machine has {len(there)}; 0 takes all")
    return there[: count or len(there)]


def embedded(
    model: TwoTower,
    modality: str,
    batches: Iterable[tuple[Label, np.ndarray]],
    batch_size: int,
    devices: list[jax.Device],
) -> Iterator[tuple[Label, np.ndarray]]:
    """Embeds batches, in order; on each device one runs while its next one is on the way.

    Args:
        model: its tower is copied to every device.
        modality: "image" or "text".
        batches: each with whatever goes with it, and the model's inputs [b, ...], b at most
            `batch_size`.
        batch_size: smaller batches are padded to a quarter, a sixteenth ... of it.
        devices: that take turns.

    Yields:
        what went with a batch, and its embeddings [b, d] float32 unit.
    """
    structure, state = nnx.split(model.query_tower(modality).module)
    turns = cycle([(device, jax.device_put(state, device)) for device in devices])
    running: deque[tuple[Label, int, jax.Array]] = deque()
    for label, inputs in batches:
        device, own = next(turns)
        rows = padded_rows(len(inputs), batch_size)
        padding = [(0, rows - len(inputs))] + [(0, 0)] * (inputs.ndim - 1)
        padded = jax.device_put(np.pad(inputs, padding, mode="edge"), device)
        running.append((label, len(inputs), _embed(structure, own, padded)))
        if len(running) > len(devices):
            yield _fetched(*running.popleft())
    while running:
        yield _fetched(*running.popleft())


def _fetched(label: Label, count: int, rows: jax.Array) -> tuple[Label, np.ndarray]:
    return label, np.asarray(jax.device_get(rows), np.float32)[:count]


@partial(jax.jit, static_argnums=0)
def _embed(structure: Any, state: Any, inputs: jax.Array) -> Float[Array, "batch dim"]:
    return unit(nnx.merge(structure, state)(inputs))
