"""Which devices share a batch, and how many rows it is padded to."""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import numpy as np

from reex_jax.errors import UserError
from reex_jax.hosts import gathered, several


def padded_rows(count: int, batch_size: int, devices: int) -> int:
    """Rows of the compiled batch that holds `count` queries, a multiple of `devices`.

    batch_size, or a quarter, a sixteenth ... of it: few shapes compile, and a single query does
    not cost a whole batch.
    """
    rows = batch_size
    while rows > devices and count <= (smaller := -(-rows // (4 * devices)) * devices) < rows:
        rows = smaller
    return rows


def choose_devices(count: int, batch_size: int) -> list[jax.Device]:
    """The first `count` devices of every process, in the order of the processes; all for 0.

    Raises:
        UserError: there are not so many, or they cannot share a batch equally.
    """
    there = [[d for d in jax.devices() if d.process_index == p] for p in range(jax.process_count())]
    least, most = (find(len(own) for own in there) for find in (min, max))
    if count > least:
        raise UserError(f"devices is {count}, but this machine has {least}; 0 takes all")
    if not count and least < most:
        raise UserError(
            f"devices is 0, but processes have {least} to {most} devices; take at most {least}"
        )
    devices = [device for own in there for device in own[: count or most]]
    if batch_size % len(devices):
        raise UserError(
            f"batch_size {batch_size} is not divisible by {len(devices)} devices; take "
            f"{-(-batch_size // len(devices)) * len(devices)}, or another number of devices"
        )
    return devices


def text_lengths(inputs: Any) -> list[int]:
    """The lengths of the token ids [n, length] among inputs; none for pixels."""
    return [leaf.shape[1] for leaf in jax.tree.leaves(inputs) if leaf.ndim == 2]


def lengthened(inputs: Any, lengths: Sequence[int]) -> Any:
    """Inputs whose token ids [n, length] are padded to other lengths, in their order.

    Repeats each row's last token, which stands behind the end of the text or is it.
    """
    wanted = iter(lengths)

    def padded(leaf: np.ndarray) -> np.ndarray:
        if leaf.ndim != 2:
            return leaf
        return np.pad(leaf, ((0, 0), (0, next(wanted) - leaf.shape[1])), mode="edge")

    return jax.tree.map(padded, inputs)


def agreed(count: int, inputs: Any) -> tuple[int, Any]:
    """What the processes that share a batch make of their parts of it.

    Returns:
        how many queries the largest part has, and the own inputs, padded to the same lengths in
        all processes.
    """
    if not several():
        return count, inputs
    own = np.array([count, *text_lengths(inputs)], np.int32)
    most, *lengths = gathered(own).max(axis=0).tolist()
    return most, lengthened(inputs, lengths)


def shared_batch(
    inputs: Any, batch_size: int, devices: int, idle: bool = False
) -> tuple[Any, np.ndarray, int]:
    """This process's part of a batch, padded and split over its devices.

    Args:
        inputs: arrays of the encoder, each with the queries as first axis.
        batch_size: the most of all processes together.
        devices: of all processes together.
        idle: says that the queries are padding, where there are several processes.

    Returns:
        the inputs [own devices, rows, ...], which rows are real [own devices, rows], and how many.

    Raises:
        UserError: no queries, or more than the process's share.
    """
    shares, count = jax.process_count(), len(jax.tree.leaves(inputs)[0])
    if not 1 <= count <= batch_size // shares:
        share = f", shared by {shares} processes" if shares > 1 else ""
        raise UserError(f"a batch of {count} queries; give 1 to batch_size = {batch_size}{share}")
    count = 0 if idle and shares > 1 else count
    most, inputs = agreed(count, inputs)
    rows, own = padded_rows(shares * most, batch_size, devices) // shares, devices // shares
    inputs = jax.tree.map(lambda x: in_parts(x, rows, own), inputs)
    return inputs, in_parts(np.ones(count, bool), rows, own, mode="constant"), count


def in_parts(
    x: np.ndarray, rows: int, devices: int, mode: Literal["edge", "constant"] = "edge"
) -> np.ndarray:
    """Pads the first axis to `rows` and splits it: [n, ...] -> [devices, rows / devices, ...].

    `mode` "edge" repeats the last row, which is harmless input; "constant" appends zeros.
    """
    padded = np.pad(x, [(0, rows - len(x))] + [(0, 0)] * (x.ndim - 1), mode=mode)
    return padded.reshape(devices, rows // devices, *x.shape[1:])
