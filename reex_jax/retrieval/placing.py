"""Rows of a gallery in buffers of devices, written and moved in place, a piece at a time.

A buffer is [1, n, d], one for each device: all places of the gallery ("copied"), or a part of them,
device after device ("split"). Several processes that split a gallery have the buffers of their own
devices each, and call the same functions in the same order. Buffers that a function is given are
used up: what it returns takes their place.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, Shaped

from reex_jax.retrieval.part import AXIS, Part, as_stored

Buffers = list[jax.Array]

_SIZES = (65536, 4096, 256, 16, 1)
"""Rows of a piece: few programs, and none needs more memory than the largest piece."""


@dataclass(frozen=True)
class Placement:
    """Which devices hold what.

    Attributes:
        devices: in the order of their parts; of all processes where the gallery is split, else of
            this one.
        split: whether each one holds a part.
    """

    devices: tuple[jax.Device, ...]
    split: bool

    @property
    def own(self) -> range:
        """The numbers of this process's devices, neighbours; there is a buffer for each."""
        numbers = [i for i, d in enumerate(self.devices) if d.process_index == jax.process_index()]
        return range(numbers[0], numbers[-1] + 1)

    @property
    def own_devices(self) -> tuple[jax.Device, ...]:
        """This process's devices."""
        return self.devices[self.own.start : self.own.stop]

    def places(self, wanted: int) -> int:
        """The smallest number of places, at least `wanted`, that devices share equally."""
        parts = len(self.devices) if self.split else 1
        return -(-wanted // parts) * parts

    def empty(self, places: int, dim: int, dtype: np.dtype) -> Buffers:
        """Buffers for so many places, all zeros."""
        own = places // len(self.devices) if self.split else places
        buffers = []
        for device in self.own_devices:
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

    def held(self, own: int) -> range:
        """The places that this process's buffers hold, of `own` rows each."""
        return range(self.own.start * own, self.own.stop * own) if self.split else range(own)

    def buffers_of(self, device: int | None) -> Sequence[int]:
        """Which of this process's buffers hold a piece that `cuts` gives."""
        if device is None:
            return range(len(self.own))
        return [self.own.index(device)] if device in self.own else []


def write_rows(
    buffers: Buffers, placement: Placement, start: int, rows: Shaped[np.ndarray, "new dim"]
) -> Buffers:
    """Writes rows, in the buffers' own dtype, to the places from `start`."""
    buffers, own = list(buffers), buffers[0].shape[1]
    for device, first, last in placement.cuts(start, start + len(rows), own):
        piece = rows[None, first - start : last - start]
        for i in placement.buffers_of(device):
            on_device = jax.device_put(piece, placement.own_devices[i])
            buffers[i] = _put(buffers[i], on_device, np.int32(first - own * (device or 0)))
    return buffers


def take_rows(
    buffers: Buffers, placement: Placement, places: Int32[np.ndarray, " taken"]
) -> Buffers:
    """The rows at some places, [1, n, d] on each device that a buffer is given of."""
    if not placement.split:
        return [_take(buffer, places) for buffer in buffers]
    found = _take_from_all(placement.devices)(as_one_array(buffers, placement, AXIS), places)
    on_device = {shard.device: shard.data for shard in found.addressable_shards}
    return [on_device[device] for device in placement.own_devices]


def in_pieces(count: int) -> Iterator[slice]:
    """0..count in slices of few sizes."""
    at = 0
    while at < count:
        size = next(size for size in _SIZES if size <= count - at)
        yield slice(at, at + size)
        at += size


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
    target = list(old if new is None else new)
    own, start = target[0].shape[1], 0
    if new is None:
        changed = np.flatnonzero(origin != np.arange(len(origin)))
        start = int(changed[0]) if changed.size else len(origin)
    for device, first, last in placement.cuts(start, len(origin), own):
        places = np.asarray(origin[first:last], np.int32)
        # Places rise: no row moves up, so nothing is read after a row of its place was written.
        rows = take_rows(target if new is None else old, placement, places)
        for i in placement.buffers_of(device):
            target[i] = _put(target[i], rows[i], np.int32(first - own * (device or 0)))
    return target


def as_one_array(buffers: Sequence[jax.Array], placement: Placement, axis: str) -> jax.Array:
    """The buffers as one array [devices, n, d] without copying, for programs over the devices."""
    mesh = jax.sharding.Mesh(
        np.array(placement.own_devices), (axis,), axis_types=(jax.sharding.AxisType.Auto,)
    )
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(axis))
    shape = (len(buffers), *buffers[0].shape[1:])
    return jax.make_array_from_single_device_arrays(shape, sharding, list(buffers))


def _write(
    buffer: Shaped[Array, "1 own dim"], rows: Shaped[Array, "1 piece dim"], start: Int32[Array, ""]
) -> Shaped[Array, "1 own dim"]:
    return jax.lax.dynamic_update_slice_in_dim(buffer, rows, start, axis=1)


_put = jax.jit(_write, donate_argnums=0)
_take = jax.jit(lambda buffer, places: buffer[:, places])


@cache
def _take_from_all(devices: tuple[jax.Device, ...]) -> Callable[[jax.Array, np.ndarray], jax.Array]:
    """(all buffers, places) -> the rows there, on every device."""

    def taken(
        rows: Shaped[Array, "own dim"], places: Int32[Array, " taken"]
    ) -> Shaped[Array, "taken dim"]:
        return as_stored(Part(rows, axis=AXIS).at(places), rows.dtype)

    return jax.pmap(taken, axis_name=AXIS, in_axes=(0, None), devices=devices)
