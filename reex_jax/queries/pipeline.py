"""Batches made ahead of the device: in order, resumable, padded at the end, shared by processes.

Items are prepared by grain, one by one in a pool of threads, while the device works on earlier
batches. Threads and not worker processes: Pillow and NumPy let go of Python's lock in their loops,
while worker processes copy each array and take seconds to start (measured: two threads prepare two
to four times as many images a second as two processes). What a batch holds depends on the items
and sizes alone, never on timing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grain.python as grain
import numpy as np

from reex_jax.errors import UserError

Item = TypeVar("Item")

_BATCHES_AHEAD = 2
PADDING = -1


@dataclass(frozen=True, eq=False)
class PreparedBatch:
    """One process's part of a batch; b is batch_size / process_count.

    Attributes:
        indices: [b] int64, positions in the items; -1 for padding.
        inputs: [b, ...] what `stack` made, an array or several; padding repeats the last real item.
        mask: [b] bool, False for padding.
    """

    indices: np.ndarray
    inputs: Any
    mask: np.ndarray


def prepared_batches(
    items: Sequence[Item],
    prepare: Callable[[Item], Any],
    *,
    batch_size: int,
    workers: int,
    stack: Callable[[list[Any]], Any] = np.stack,
    name: Callable[[Item], str] = str,
    start: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[PreparedBatch]:
    """Prepares all items in order, in batches of equal size.

    Of every batch each process makes its own contiguous part, all of the same size, padded where
    the items end: so every process sees as many batches, and none waits for another in vain.

    Args:
        items: what to prepare, in the order of the batches.
        prepare: an item -> its array, or several; called in several threads at once.
        batch_size: of all processes together.
        workers: threads; 0 prepares each item when it is asked for.
        stack: what `prepare` made of a part -> `PreparedBatch.inputs`. Several processes must agree
            on its shape.
        name: an item -> its id, for messages.
        start: how many batches an earlier run has done; they are skipped without being prepared.
        process_index: which process this is.
        process_count: how many there are.

    Yields:
        ceil(len(items) / batch_size) - start batches.

    Raises:
        UserError: at once, sizes that are impossible; later, when its turn comes, an item that
            `prepare` refuses or fails on. The message names the item.
    """
    _check(batch_size, workers, start, process_index, process_count)
    parts = _parts(len(items), batch_size, start, process_index, process_count)
    return _batches(items, prepare, parts, workers, stack, name)


def _check(
    batch_size: int, workers: int, start: int, process_index: int, process_count: int
) -> None:
    if batch_size < 1:
        raise UserError(f"batch_size is {batch_size}; it must be at least 1")
    if batch_size % process_count:
        raise UserError(
            f"batch_size is {batch_size}, which {process_count} processes cannot share equally; "
            f"choose a multiple of {process_count}"
        )
    if not 0 <= process_index < process_count:
        raise UserError(f"process_index is {process_index}; it must lie in 0..{process_count - 1}")
    if workers < 0 or start < 0:
        raise UserError(f"workers is {workers} and start is {start}; neither may be negative")


def _parts(
    count: int, batch_size: int, start: int, process_index: int, process_count: int
) -> list[np.ndarray]:
    """The positions of this process's part of each batch; -1 for padding."""
    batches = -(-count // batch_size)
    positions = np.arange(batches * batch_size)
    positions[count:] = PADDING
    table = positions.reshape(batches, process_count, batch_size // process_count)
    return list(table[start:, process_index])


def _batches(
    items: Sequence[Item],
    prepare: Callable[[Item], Any],
    parts: list[np.ndarray],
    workers: int,
    stack: Callable[[list[Any]], Any],
    name: Callable[[Item], str],
) -> Iterator[PreparedBatch]:
    if not parts:
        return
    # A part that is all padding still needs an item to repeat.
    real = [part[part != PADDING] for part in parts]
    wanted = [some if some.size else np.array([len(items) - 1]) for some in real]

    def prepared(position: int) -> Any:
        item = items[position]
        try:
            return prepare(item)
        except UserError as error:
            return _failure(f"{name(item)}: {error}", error)
        except Exception as error:
            return _failure(f"{name(item)}: {type(error).__name__}: {error}", error)

    dataset = grain.MapDataset.source(np.concatenate(wanted)).map(prepared)
    ahead = max(_BATCHES_AHEAD * len(parts[0]), workers) if workers else 0
    options = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=ahead)
    arrays = iter(dataset.to_iter_dataset(options))
    try:
        for part, positions in zip(parts, wanted, strict=True):
            rows = [_checked(next(arrays)) for _ in positions]
            rows += [rows[-1]] * (len(part) - len(rows))
            yield PreparedBatch(part.astype(np.int64), stack(rows), part != PADDING)
    finally:
        arrays.close()


def _failure(message: str, cause: Exception) -> UserError:
    """An error that travels as a value, because grain adds notes of its own to raised ones."""
    error = UserError(message)
    error.__cause__ = cause
    return error


def _checked(row: Any) -> Any:
    if isinstance(row, UserError):
        raise row
    return row
