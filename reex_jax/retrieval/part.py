"""What one device sees of a gallery: its own rows, and how many items there are in all.

Rows may be split over the devices of a named axis, device after device; positions are always those
in the whole gallery. Places behind the last item are kept free for later ones. Rows in bfloat16
stand as the uint16 of their bits: some compilers (XLA's for CPUs) would turn a bfloat16 array that
they cannot compute with into float32 as a whole, a second and larger copy.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Int32, Shaped

AXIS = "devices"
"""The axis of the devices that share a batch."""


@dataclass(frozen=True)
class Part:
    """A gallery inside of a compiled function.

    Attributes:
        rows: [n, d] float32, or uint16 with the bits of bfloat16; all places, or this device's.
        items: how many places of the whole gallery are in use, the first ones; None: all.
        axis: over whose devices the places are split equally; None: they are not.
    """

    rows: Shaped[Array, "own dim"]
    items: Int32[Array, ""] | None = None
    axis: str | None = None

    @property
    def places(self) -> int:
        """Of the whole gallery, free ones too."""
        devices = 1 if self.axis is None else jax.lax.axis_size(self.axis)
        return self.rows.shape[0] * devices

    @property
    def count(self) -> Int32[Array, ""]:
        """Of the items in the whole gallery."""
        return jnp.int32(self.places) if self.items is None else self.items

    @property
    def first(self) -> Int32[Array, ""]:
        """The position of this device's first row."""
        if self.axis is None:
            return jnp.int32(0)
        return jax.lax.axis_index(self.axis).astype(jnp.int32) * self.rows.shape[0]

    def used(self) -> Bool[Array, " places"]:
        """Which places of the whole gallery hold an item."""
        return jnp.arange(self.places, dtype=jnp.int32) < self.count

    def chunk(self, start: Int32[Array, ""], size: int) -> Float[Array, "{size} dim"]:
        """Some of this device's rows, in float32."""
        return as_float32(jax.lax.dynamic_slice_in_dim(self.rows, start, size))

    def at(self, positions: Int[Array, " *places"]) -> Float[Array, "*places dim"]:
        """Rows at positions in the whole gallery, in float32; zeros where no such place is."""
        own = positions - self.first
        inside = (own >= 0) & (own < self.rows.shape[0])
        rows = as_float32(self.rows[jnp.clip(own, 0, self.rows.shape[0] - 1)])
        return self.sum(jnp.where(inside[..., None], rows, 0.0))

    def own(self, values: Shaped[Array, " places"]) -> Shaped[Array, " own"]:
        """This device's part of one value for each place."""
        if self.axis is None:
            return values
        return jax.lax.dynamic_slice_in_dim(values, self.first, self.rows.shape[0])

    def whole(self, values: Shaped[Array, " *own"], axis: int = 0) -> Shaped[Array, " *places"]:
        """Every device's values behind each other."""
        if self.axis is None:
            return values
        return jax.lax.all_gather(values, self.axis, axis=axis, tiled=True)

    def sum(self, values: Any) -> Any:
        """The sum over the devices."""
        return values if self.axis is None else jax.lax.psum(values, self.axis)

    def max(self, values: Any) -> Any:
        """The largest of the devices; constant."""
        values = jax.lax.stop_gradient(values)
        return values if self.axis is None else jax.lax.pmax(values, self.axis)


Searched = Part | Array
"""A gallery as functions of it take one: a part, or simply all rows."""


def as_part(gallery: Searched) -> Part:
    """A part as it is; rows as a part that is everything."""
    return gallery if isinstance(gallery, Part) else Part(gallery)


def as_float32(rows: Shaped[Array, "*axes"]) -> Float[Array, "*axes"]:
    """Rows as they are computed with."""
    if rows.dtype == jnp.uint16:
        return jax.lax.bitcast_convert_type(rows.astype(jnp.uint32) << 16, jnp.float32)
    return rows


def as_stored(rows: Float[Array, "*axes"], dtype: Any) -> Shaped[Array, "*axes"]:
    """Rows that `as_float32` gave as a device holds them, bit for bit."""
    if dtype == jnp.uint16:
        return jax.lax.bitcast_convert_type(rows.astype(jnp.bfloat16), jnp.uint16)
    return rows


def of_all_processes(x: jax.Array, own: int) -> jax.Array:
    """The rows of every process, each of which has `own` devices: [b, ...] -> [processes b, ...].

    Numbers are those of all, and stay.
    """
    if x.ndim == 0 or own == jax.lax.axis_size(AXIS):
        return x
    return jax.lax.all_gather(x, AXIS)[::own].reshape(-1, *x.shape[1:])


def of_this_process(x: jax.Array, own: int) -> jax.Array:
    """This process's share of rows: [processes b, ...] -> [b, ...]."""
    rows = x.shape[0] * own // jax.lax.axis_size(AXIS)
    return jax.lax.dynamic_slice_in_dim(x, jax.lax.axis_index(AXIS) // own * rows, rows)
