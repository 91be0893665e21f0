"""What an adapter needs of a device's memory, and what a batch costs, for a gallery of any size.

The update step is compiled with two small galleries. XLA says what each needs; everything beyond
the rows themselves grows with the number of items alone, so the two give a line. The rows, the
weights and the state are counted.
"""

import time
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from reex_jax.adaptation.adapter import Adapter
from reex_jax.adaptation.batches import in_parts
from reex_jax.errors import UserError
from reex_jax.models.two_tower import TwoTower
from reex_jax.settings.gallery import GallerySettings
from reex_jax.settings.planning import Planning

SMALL = (16384, 65536)
"""Items of the two galleries; the chunks that are scanned are full in both."""


class Plan(NamedTuple):
    """Bytes on every device, and seconds.

    Attributes:
        weights: of the query's tower.
        state: that learning changes, without what it holds of each item.
        gallery: the device's rows.
        vectors: one number for each item: calibration, and the correction in ranking.
        work: what the step needs beside; XLA's own figure, carried on to the gallery's size.
        total: of all.
        capacity: of the device.
        batch_s: of a batch on the device that made the plan.
    """

    weights: int
    state: int
    gallery: int
    vectors: int
    work: int
    total: int
    capacity: int
    batch_s: float

    @property
    def fits(self) -> bool:
        """Whether the device holds it."""
        return self.total <= self.capacity


class Step(NamedTuple):
    """A compiled step with a small gallery.

    Attributes:
        constants: bytes of weights and source parameters, without the rows.
        state: bytes of the state, without the calibration's vector.
        work: bytes that XLA needs beside arguments.
        seconds: of one batch.
    """

    constants: int
    state: int
    work: int
    seconds: float


def make_plan(model: TwoTower, settings: Planning) -> Plan:
    """Compiles and times the step twice on this machine's first device, and carries both on.

    Raises:
        UserError: devices that cannot share the batch.
    """
    if settings.batch_size % settings.devices:
        raise UserError(
            f"plan.batch_size {settings.batch_size} is not divisible by plan.devices "
            f"{settings.devices}"
        )
    small, large = (small_step(model, settings, items) for items in SMALL)
    parts = settings.devices if settings.layout == "split" else 1
    rows = -(-settings.items // parts)
    width = settings.width or model.dim
    number = 2 if settings.storage == "bfloat16" else 4
    weights, state = large.constants, large.state
    gallery, vectors = rows * width * number, 2 * 4 * settings.items
    work = _carried_on(small.work, large.work, settings.items)
    total = weights + state + gallery + vectors + work
    seconds = _carried_on(small.seconds, large.seconds, rows * width / model.dim)
    capacity = int(settings.device_gb * 1e9)
    return Plan(weights, state, gallery, vectors, int(work), int(total), capacity, seconds)


def _carried_on(small: float, large: float, items: float) -> float:
    slope = max(0.0, (large - small) / (SMALL[1] - SMALL[0]))
    return max(small + slope * (items - SMALL[0]), small)


def small_step(model: TwoTower, settings: Planning, items: int) -> Step:
    """Compiles the update step of one device's share of a batch, and runs it."""
    adapter = small_adapter(model, settings, items)
    arguments = arguments_of(adapter, model, settings)
    program, constants, state = adapter.program
    needed = program.lower(*arguments).compile().memory_analysis()
    bytes_of = sum_of_bytes(constants._replace(gallery=None))
    vector = sum_of_bytes(state.calibration.log_mass)
    work = needed.temp_size_in_bytes + needed.output_size_in_bytes - needed.alias_size_in_bytes
    seconds = []
    for _ in range(2):
        fresh = (constants, jax.tree.map(lambda x: x.copy(), state), *arguments[2:])
        began = time.perf_counter()
        jax.block_until_ready(program(*fresh))
        seconds.append(time.perf_counter() - began)
    return Step(bytes_of, sum_of_bytes(state) - vector, work, min(seconds))


def small_adapter(model: TwoTower, settings: Planning, items: int) -> Adapter:
    """An adapter of one device's share of a batch with a gallery of random rows."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((items, model.dim), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Adapter(
        model,
        rows,
        query=settings.query,
        method=settings.method,
        gallery_settings=GallerySettings(storage=settings.storage),
        batch_size=settings.batch_size // settings.devices,
        steps=settings.steps,
    )


def arguments_of(adapter: Adapter, model: TwoTower, settings: Planning) -> tuple[Any, ...]:
    """What the step takes: constants, state, queries that stand for any, and the mask."""
    count = settings.batch_size // settings.devices
    if settings.query == "image":
        queries = np.stack([model.prepare_image(Image.new("RGB", (64, 64)))] * count)
    else:
        queries = model.pad_texts([model.prepare_text("a circle")] * count, one_length=True)
    mask = np.ones(count, bool)
    return (*adapter.program[1:], in_parts(queries, count, 1), in_parts(mask, count, 1))


def sum_of_bytes(tree: Any) -> int:
    """Of all arrays."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
