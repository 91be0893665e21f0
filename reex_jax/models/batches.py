"""Embeds any number of inputs in batches of few shapes, one batch ahead of the device."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import jax
import numpy as np


def chunks(items: Iterable[Any], size: int) -> Iterator[Any]:
    """Consecutive parts of at most `size`: slices of an array, else lists."""
    if isinstance(items, np.ndarray):
        for start in range(0, len(items), size):
            yield items[start : start + size]
        return
    source = iter(items)
    while part := list(islice(source, size)):
        yield part


def embed_batches(
    embed: Callable[[jax.Array], jax.Array],
    batches: Iterable[np.ndarray],
    batch_size: int,
    dim: int,
) -> np.ndarray:
    """Embeddings [n, dim] float32 of all batches together, [0, dim] if there are none.

    Args:
        embed: inputs on the device -> [b, dim] float32; compiled for each shape.
        batches: each of at most `batch_size` inputs; taken when its turn comes.
        batch_size: smaller batches are padded to a quarter, a sixteenth, ... of it.
        dim: width of the embeddings.
    """
    done: list[np.ndarray] = []
    running: list[tuple[jax.Array, int]] = []
    for batch in batches:
        padded = _pad_rows(batch, padded_rows(len(batch), batch_size))
        running.append((embed(jax.device_put(padded)), len(batch)))
        # One batch ahead: the next is prepared while the device works, and no more queue up.
        if len(running) > 1:
            done.append(_fetch(*running.pop(0)))
    done.extend(_fetch(*item) for item in running)
    return np.concatenate([np.zeros((0, dim), np.float32), *done])


def _fetch(embeddings: jax.Array, count: int) -> np.ndarray:
    return np.asarray(jax.device_get(embeddings), np.float32)[:count]


def padded_rows(count: int, batch_size: int) -> int:
    """The smallest of batch_size, batch_size / 4, / 16, ... (rounded up) that holds count rows."""
    while count <= (smaller := -(-batch_size // 4)) < batch_size:
        batch_size = smaller
    return batch_size


def _pad_rows(batch: np.ndarray, rows: int) -> np.ndarray:
    """Repeats the last row, which is harmless input, up to `rows`."""
    return np.pad(batch, [(0, rows - len(batch))] + [(0, 0)] * (batch.ndim - 1), mode="edge")
