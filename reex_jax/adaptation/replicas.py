"""Copies of arrays on every device that shares a batch."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Shaped

from reex_jax.hosts import several
from reex_jax.retrieval.part import AXIS as AXIS


def replicate(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """A copy of every array on each device of this process, with a leading axis for these."""
    devices = [device for device in devices if device.process_index == jax.process_index()]
    mesh = jax.sharding.Mesh(devices, (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))

    def copies(x: jax.Array | np.ndarray) -> jax.Array:
        x = x[None]
        parts = [jax.device_put(x, device) for device in devices]
        shape = (len(devices), *x.shape[1:])
        return jax.make_array_from_single_device_arrays(shape, sharding, parts)

    return jax.tree.map(copies, tree)


def spread(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """What `replicate` put on the first device, on others, too; the first copy is shared."""
    mesh = jax.sharding.Mesh(devices, (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))

    def copies(x: jax.Array) -> jax.Array:
        own = x.addressable_shards[0].data
        parts = [own, *(jax.device_put(own, device) for device in devices[1:])]
        shape = (len(devices), *x.shape[1:])
        return jax.make_array_from_single_device_arrays(shape, sharding, parts)

    return jax.tree.map(copies, tree)


def own_rows(batch: jax.Array) -> jax.Array:
    """This process's part of the rows of a whole batch [B, ...]."""
    if not several():
        return batch
    rows = len(batch) // jax.process_count()
    return batch[jax.process_index() * rows :][:rows]


def first_copy(tree: Any) -> Any:
    """The first device's copy of what `replicate` made or a step returned."""
    return jax.tree.map(lambda x: x.addressable_shards[0].data[0], tree)


def first_shards(tree: Any) -> Any:
    """As `first_copy`, but each array keeps its leading axis, for a program that takes it away.

    Outside of a program every array would need one of its own. All lie on the first device in the
    same way, whether they were copied there or come from a step: else the program that takes them
    would be compiled once for each way.
    """
    shards = jax.tree.map(lambda x: x.addressable_shards[0].data, tree)
    (device,) = jax.tree.leaves(shards)[0].devices()
    return jax.device_put(shards, device)


def gather(x: Shaped[Array, " own *rest"]) -> Shaped[Array, " batch *rest"]:
    """The rows of all devices, on each; under an axis named AXIS."""
    return jax.lax.all_gather(x, AXIS, tiled=True)


def own_part(rows: Shaped[Array, " batch *rest"], size: int) -> Shaped[Array, " {size} *rest"]:
    """This device's rows of all devices'; under an axis named AXIS."""
    return jax.lax.dynamic_slice_in_dim(rows, jax.lax.axis_index(AXIS) * size, size)
