"""Which devices share a batch, and how many rows it is padded to."""

from typing import Literal

import jax
import numpy as np

from reex_jax.errors import UserError


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
    """The first `count` devices of this machine; all of them for 0.

    Raises:
        UserError: there are not so many, or they cannot share a batch equally.
    """
    there = jax.local_devices()
    if count > len(there):
        raise UserError(f"devices is {count}, but this machine has {len(there)}; 0 takes all")
    devices = there[: count or len(there)]
    if batch_size % len(devices):
        raise UserError(
            f"batch_size {batch_size} is not divisible by {len(devices)} devices; take "
            f"{-(-batch_size // len(devices)) * len(devices)}, or another number of devices"
        )
    return devices


def in_parts(
    x: np.ndarray, rows: int, devices: int, mode: Literal["edge", "constant"] = "edge"
) -> np.ndarray:
    """Pads the first axis to `rows` and splits it: [n, ...] -> [devices, rows / devices, ...].

    `mode` "edge" repeats the last row, which is harmless input; "constant" appends zeros.
    """
    padded = np.pad(x, [(0, rows - len(x))] + [(0, 0)] * (x.ndim - 1), mode=mode)
    return padded.reshape(devices, rows // devices, *x.shape[1:])
