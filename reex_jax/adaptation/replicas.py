"""Copies of arrays on every device that shares a batch."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from reex_jax.retrieval.part import AXIS as AXIS


def replicate(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """A copy of every array on each device, with a leading device axis."""
    mesh = jax.sharding.Mesh(devices, (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))

    def copies(x: jax.Array | np.ndarray) -> jax.Array:
        x = x[None]
        parts = [jax.device_put(x, device) for device in devices]
        shape = (len(devices), *x.shape[1:])
        return jax.make_array_from_single_device_arrays(shape, sharding, parts)

    return jax.tree.map(copies, tree)


def first_copy(tree: Any) -> Any:
    """The first device's copy of what `replicate` made or a step returned."""
    return jax.tree.map(lambda x: x.addressable_shards[0].data[0], tree)
