"""Rows of a gallery in buffers of devices, written and moved in place, a piece at a time.

A buffer is [1, n, d], one for each device: all places of the gallery ("copied"), or a part of them,
device after device ("split"). Buffers that a function is given are used up: what it returns takes
their place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, Shaped

Buffers = list[jax.Array]

_SIZES = (65536, 4096, 256, 16, 1)
"""Rows of a piece: few programs, and none needs more memory than the largest piece."""


@dataclass(frozen=True)
class Placement:
    """Which devices hold what.

    Attributes:
        devices: in the order of their parts.
        split: whether each one holds a part.
    """

    devices: tuple[jax.Device, ...]
    split: bool

    def places(self, wanted: int) -> int:
        """The smallest number of places, at least `wanted`, that devices share equally."""
        parts = len(self.devices) if self.split else 1
        return -(-wanted // parts) * parts

    def empty(self, places: int, dim: int, dtype: np.dtype) -> Buffers:
        """Buffers for so many places, all zeros."""
        own = places // len(self.devices) if self.split else places
        buffers = []
        for device in self.devices:
            with jax.default_device(device):
                buffers.append(jnp.zeros((1, own, dim), dtype))
        return buffers

    def cuts(self, start: int, stop: int, own: int) -> Iterator[tuple[int | None, int, int]]:
        """The places start..stop in pieces that lie on one device: (device, start, stop).

        The device is None where every one holds the piece.
        """
        at = start
        while at < stop:
            device = at // own if self.split else None
            end = stop if device is None else min(stop, (device + 1) * own)
            size = next(size for size in _SIZES if size <= end - at)
            yield device, at, at + size
            at += size


def write_rows(
    buffers: Buffers, placement: Placement, start: int, rows: Shaped[np.ndarray, "new dim"]
) -> Buffers:
    """Writes rows, in the buffers' own dtype, to the places from `start`."""
    buffers, own = list(buffers), buffers[0].shape[1]
    for device, first, last in placement.cuts(start, start + len(rows), own):
        piece = rows[first - start : last - start]
        for i in range(len(buffers)) if device is None else [device]:
            on_device = jax.device_put(piece, placement.devices[i])
            buffers[i] = _put(buffers[i], on_device, np.int32(first - own * (device or 0)))
    return buffers


def move_rows(
    old: Buffers, new: Buffers | None, placement: Placement, origin: Int32[np.ndarray, " kept"]
) -> Buffers:
    """Brings the rows at the places `origin`, which rise, to the first places.

    Args:
        old: where they are.
        new: where they go; None for the same buffers, in place.
        placement: of both.
        origin: the old place of each row.
    """
    same = new is None
    old = list(old)
    target = old if new is None else list(new)
    was, own = old[0].shape[1], target[0].shape[1]
    changed = np.flatnonzero(origin != np.arange(len(origin)))
    start = int(changed[0]) if same and changed.size else len(origin) if same else 0
    for device, first, last in placement.cuts(start, len(origin), own):
        places = np.asarray(origin[first:last], np.int32)
        for i in range(len(target)) if device is None else [device]:
            at = np.int32(first - own * (device or 0))
            # Places rise, so those of one device stand together; nothing is read after a row of
            # its place was written, as no row moves up.
            for source, low, high in _by_device(places, was, placement.split, i):
                for size, cut in _pieces(low, high):
                    offset = was * source if placement.split else 0
                    rows = _take(old[source], places[cut : cut + size] - np.int32(offset))
                    rows = jax.device_put(rows, placement.devices[i])
                    target[i] = _put(target[i], rows, at + np.int32(cut))
    return target


def _by_device(
    places: Int32[np.ndarray, " piece"], own: int, split: bool, here: int
) -> Iterator[tuple[int, int, int]]:
    """(device, start, stop) of the runs of places that lie on one device."""
    if not split:
        yield here, 0, len(places)
        return
    devices = places // own
    starts = [0, *(np.flatnonzero(np.diff(devices)) + 1).tolist(), len(places)]
    for low, high in pairwise(starts):
        yield int(devices[low]), low, high


def _pieces(low: int, high: int) -> Iterator[tuple[int, int]]:
    while low < high:
        size = next(size for size in _SIZES if size <= high - low)
        yield size, low
        low += size


def as_one_array(buffers: Sequence[jax.Array], placement: Placement, axis: str) -> jax.Array:
    """The buffers as one array [devices, n, d] without copying, for programs over the devices."""
    mesh = jax.sharding.Mesh(
        np.array(placement.devices), (axis,), axis_types=(jax.sharding.AxisType.Auto,)
    )
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(axis))
    shape = (len(buffers), *buffers[0].shape[1:])
    return jax.make_array_from_single_device_arrays(shape, sharding, list(buffers))


def _write(
    buffer: Shaped[Array, "1 own dim"], rows: Shaped[Array, "piece dim"], start: Int32[Array, ""]
) -> Shaped[Array, "1 own dim"]:
    return jax.lax.dynamic_update_slice_in_dim(buffer, rows[None], start, axis=1)


_put = jax.jit(_write, donate_argnums=0)
_take = jax.jit(lambda buffer, places: buffer[0][places])
