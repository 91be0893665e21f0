"""A gallery on the devices that share a batch: searched, grown and shrunk where it lies."""

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int32, Shaped

from reex_jax.arrays import cosines
from reex_jax.errors import UserError
from reex_jax.retrieval.confidence import sure_items
from reex_jax.retrieval.part import AXIS, Part, as_float32, of_all_processes, of_this_process
from reex_jax.retrieval.placing import (
    Placement,
    as_one_array,
    in_pieces,
    move_rows,
    take_rows,
    write_rows,
)
from reex_jax.retrieval.ranks import check_answers, ranks_by_each
from reex_jax.retrieval.rows import Rows, read_pieces
from reex_jax.retrieval.topk import best_items, check_widths
from reex_jax.settings.gallery import GallerySettings

Program = Callable[..., Any]


class DeviceGallery:
    """The only copy of the rows: whoever else needs them takes `rows`.

    Where it is split over the devices of several processes, each of them reads and holds the rows
    of its own devices, and all call the same methods in the same order.
    """

    def __init__(
        self, rows: Rows, devices: Sequence[jax.Device], settings: GallerySettings
    ) -> None:
        """Reads the rows, unit vectors, piece by piece.

        Args:
            rows: [N, d] numbers.
            devices: that share a batch, of all processes, one process after the other.
            settings: how they hold it.
        """
        split = settings.layout == "split"
        own = [d for d in devices if split or d.process_index == jax.process_index()]
        self._placement = Placement(tuple(own), split)
        self._settings, (self.size, self.dim) = settings, rows.shape
        self._dtype = np.dtype(np.uint16 if settings.storage == "bfloat16" else np.float32)
        self._buffers = self._empty(self.size)
        self._read(rows, 0)
        self._programs: dict[Any, Program] = {}

    @property
    def rows(self) -> Shaped[Array, "devices own dim"]:
        """What the devices hold, see `Part`; a change of the gallery uses it up."""
        return as_one_array(self._buffers, self._placement, AXIS)

    @property
    def places(self) -> int:
        """How many items fit where the gallery lies."""
        own = self._buffers[0].shape[1]
        return own * len(self._placement.devices) if self.axis else own

    @property
    def axis(self) -> str | None:
        """Over whose devices it is split; None where it is not."""
        return AXIS if self._placement.split else None

    def places_with(self, new: int) -> int:
        """How many places there will be after so many items were added."""
        wanted = self.size + new
        if wanted <= self.places:
            return self.places
        return self._placement.places(wanted + self._settings.spare)

    def add(self, rows: Rows) -> None:
        """Puts items behind the others; takes new buffers only where the places do not suffice."""
        start = self.size
        if self.places_with(len(rows)) > self.places:
            new, kept = self._empty(start + len(rows)), np.arange(start, dtype=np.int32)
            self._buffers = move_rows(self._buffers, new, self._placement, kept)
        self._read(rows, start)
        self.size = start + len(rows)

    def exchange(self, rows: Rows) -> None:
        """Writes as many other items over all of them."""
        self._read(rows, 0)

    def keep(self, origin: Int32[np.ndarray, " kept"]) -> None:
        """Lets go of all items but those at some positions, which rise; the places stay."""
        self._buffers = move_rows(self._buffers, None, self._placement, origin)
        self.size = len(origin)

    def at(self, positions: np.ndarray) -> np.ndarray:
        """[n, d] float32 rows on the host."""
        found = np.empty((len(positions), self.dim), np.float32)
        for piece, rows in self._taken(positions.astype(np.int32)):
            found[piece] = rows
        return found

    def copy(self) -> Float[Array, "items dim"]:
        """All rows in float32, on the first device."""
        if not self._placement.split:
            return as_float32(self._buffers[0][0, : self.size])
        everything = np.arange(self.size, dtype=np.int32)
        return jnp.concatenate([rows for _, rows in self._taken(everything)])

    def _taken(self, positions: np.ndarray) -> Iterator[tuple[slice, jax.Array]]:
        """Rows at some positions, piece by piece, in float32 on the first device."""
        buffers = self._buffers if self._placement.split else self._buffers[:1]
        for piece in in_pieces(len(positions)):
            first, *_ = take_rows(buffers, self._placement, positions[piece])
            yield piece, as_float32(first)[0]

    def check_k(self, k: Any) -> int:
        """k as Python's own integer.

        Raises:
            UserError: it is no integer of any type, or not in 1..N.
        """
        try:
            whole = 0 if isinstance(k, bool) else operator.index(k)
        except TypeError:
            whole = 0
        if not 1 <= whole <= self.size:
            raise UserError(f"k is {k!r}, but must lie in 1..{self.size}, the gallery's size")
        return whole

    def check_queries(self, queries: jax.Array) -> None:
        """Raises UserError unless they are rows of the gallery's width."""
        check_widths(queries, jax.ShapeDtypeStruct((self.size, self.dim), queries.dtype))

    def check_answers(self, answers: np.ndarray) -> None:
        """Raises UserError if an answer is not in the gallery."""
        check_answers(answers, self.size)

    def best(
        self, queries: jax.Array, k: int, corrections: jax.Array | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cosines and positions of the k best by cosine minus correction; on the host.

        Args:
            queries: [B, d] float32; of a split gallery as many in every process.
            k: from `check_k`.
            corrections: [devices, places] float32, the same on every device.
        """
        scores, positions = self._run(partial(_best, k=k), ("best", k), corrections, queries)
        return scores, positions

    def cosines(self, queries: jax.Array) -> np.ndarray:
        """All cosines [B, N] float32; on the host."""
        return self._run(_cosines, "cosines", None, queries)[:, : self.size]

    def begin_ranks(
        self, queries: jax.Array, answers: ArrayLike, corrections: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """Where right answers stand, see `ranks_of`; stays on the device, and waits for nothing.

        Args:
            queries: [B, d] float32.
            answers: [B, R] int32.
            corrections: as `best` takes them.

        Returns:
            ranks [B, R] int32 by cosine; with corrections also those by cosine minus correction.
        """
        answers = jnp.asarray(answers, jnp.int32)
        ranks = self._begin(_ranks, "ranks", corrections, queries, answers)
        return tuple(ranks)

    def sure(
        self,
        queries: jax.Array,
        k: int,
        temperature: jax.Array,
        corrections: jax.Array | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Positions and confidence of the first items, see `sure_items`; on the host."""
        work = partial(_sure, k=k)
        positions, sure = self._run(work, ("sure", k), corrections, queries, temperature)
        return positions, sure

    def _run(
        self, work: Program, name: Any, corrections: jax.Array | None, *inputs: jax.Array
    ) -> Any:
        """What `_begin` gives; on the host."""
        return jax.device_get(self._begin(work, name, corrections, *inputs))

    def _begin(
        self, work: Program, name: Any, corrections: jax.Array | None, *inputs: jax.Array
    ) -> Any:
        """What a program of (gallery, correction, inputs) gives; on the first device."""
        split = self._placement.split
        if name not in self._programs:
            self._programs[name] = self._compiled(work, len(inputs))
        rows = self.rows if split else self._buffers[0]
        if not split and corrections is not None:
            corrections = corrections.addressable_shards[0].data
        found = self._programs[name](rows, np.int32(self.size), corrections, *inputs)
        if split:
            found = jax.tree.map(lambda x: x.addressable_shards[0].data[0], found)
        return found

    def _compiled(self, work: Program, inputs: int) -> Program:
        axis, own = self.axis, len(self._placement.own)

        def on_all(
            rows: jax.Array, items: jax.Array, correction: jax.Array | None, *inputs: jax.Array
        ) -> Any:
            whole = [of_all_processes(x, own) for x in inputs]
            found = work(Part(rows, items, axis), correction, *whole)
            return jax.tree.map(partial(of_this_process, own=own), found)

        def on_first(
            rows: jax.Array, items: jax.Array, correction: jax.Array | None, *inputs: jax.Array
        ) -> Any:
            correction = None if correction is None else correction[0]
            return work(Part(rows[0], items), correction, *inputs)

        if not self._placement.split:
            return jax.jit(on_first)
        axes = (0, None, 0, *[None] * inputs)
        devices = self._placement.devices
        return jax.pmap(on_all, axis_name=AXIS, in_axes=axes, devices=devices)

    def _empty(self, wanted: int) -> list[jax.Array]:
        places = self._placement.places(wanted + self._settings.spare)
        return self._placement.empty(places, self.dim, self._dtype)

    def _read(self, rows: Rows, start: int) -> None:
        """Reads what this process's devices hold of rows that go to the places from `start`."""
        held = self._placement.held(self._buffers[0].shape[1])
        first, last = (min(max(place - start, 0), len(rows)) for place in (held.start, held.stop))
        start += first
        for piece in read_pieces(rows[first:last]):
            stored = piece
            if self._dtype == np.uint16:
                stored = piece.astype(jnp.bfloat16).view(np.uint16)
            self._buffers = write_rows(self._buffers, self._placement, start, stored)
            # Else the pieces of a large file wait on the host for the devices.
            jax.block_until_ready(self._buffers)
            start += len(piece)


def _cosines(
    gallery: Part, correction: None, queries: Float[Array, "batch dim"]
) -> Float[Array, "batch places"]:
    return gallery.whole(cosines(queries, as_float32(gallery.rows)), axis=1)


def _best(
    gallery: Part,
    correction: Float[Array, " places"] | None,
    queries: Float[Array, "batch dim"],
    k: int,
) -> tuple[Float[Array, "batch k"], Int32[Array, "batch k"]]:
    scores, positions = best_items(queries, gallery, k, correction)
    return scores if correction is None else scores + correction[positions], positions


def _sure(
    gallery: Part,
    correction: Float[Array, " places"] | None,
    queries: Float[Array, "batch dim"],
    temperature: Float[Array, ""],
    k: int,
) -> tuple[Int32[Array, "batch k"], Float[Array, " batch"]]:
    return sure_items(queries, gallery, k, temperature, correction)


def _ranks(
    gallery: Part,
    correction: Float[Array, " places"] | None,
    queries: Float[Array, "batch dim"],
    answers: Int32[Array, "batch answers"],
) -> tuple[Int32[Array, "batch answers"], ...]:
    corrections = [None] if correction is None else [None, correction]
    return ranks_by_each(queries, gallery, answers, corrections)
