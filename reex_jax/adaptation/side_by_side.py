"""Several streams of one method at once, each with what it has learned, by one program.

The parameters that adapt, the optimiser, the objective's memory and the calibration have an axis
for the streams (`jax.vmap`); the frozen weights and the gallery are those of one `Adapter`, shared
by all streams of a device. Devices adapt different streams and tell each other nothing. Every
stream runs the very update step of an adapter on one device.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import psutil
from jaxtyping import Bool, Int32

from reex_jax.adaptation.adapter import Adapter
from reex_jax.adaptation.batches import padded_rows
from reex_jax.adaptation.encoder import Constants, Inputs
from reex_jax.adaptation.parts import Parts
from reex_jax.adaptation.replicas import AXIS, spread
from reex_jax.adaptation.state import AdaptState, initial_state
from reex_jax.adaptation.update import Diagnostics, make_update
from reex_jax.retrieval.calibration import correction
from reex_jax.retrieval.part import Part
from reex_jax.retrieval.ranks import ranks_by_each

LANES = "lanes"
_SHARE = 0.8
"""Of a device's free memory that streams may fill."""


class Batches(NamedTuple):
    """One batch of every stream.

    Attributes:
        inputs: of the encoder, each array with the streams and then the queries as first axes.
        mask: False for padding.
        active: False for streams that have ended; nothing of theirs changes.
        answers: gallery positions, -1 where a query has fewer.
    """

    inputs: Inputs
    mask: Bool[np.ndarray, "streams batch"]
    active: Bool[np.ndarray, " streams"]
    answers: Int32[np.ndarray, "streams batch answers"]


class Ranks(NamedTuple):
    """What a step gives for every stream; on its way while the device works.

    Attributes:
        plain: where right answers stand by cosine, [devices, streams, batch, answers].
        calibrated: the same by calibrated score; None without calibration.
        diagnostics: of every stream.
    """

    plain: jax.Array
    calibrated: jax.Array | None
    diagnostics: Diagnostics

    def fetch(self) -> list[tuple[dict[str, np.ndarray], dict[str, float]]]:
        """Of every stream what `Adapter.ranks` gives; waits for the device."""
        found = jax.device_get(self)
        plain = found.plain.reshape(-1, *found.plain.shape[2:])
        ranks = [{"plain": own} for own in plain]
        if found.calibrated is not None:
            for own, rows in zip(ranks, found.calibrated.reshape(plain.shape), strict=True):
                own["calibrated"] = rows
        flat = jax.tree.map(lambda x: x.reshape(-1), found.diagnostics)._asdict()
        return [
            (own, {name: values[i].item() for name, values in flat.items()})
            for i, own in enumerate(ranks)
        ]


class SideBySide:
    """As many streams as `devices` times `streams`, each in the state of its own."""

    def __init__(self, adapter: Adapter, streams: int, devices: Sequence[jax.Device]) -> None:
        """Compiles nothing yet.

        Args:
            adapter: on the first of `devices`; lends weights, gallery and method, and is left as
                it is.
            streams: on each device.
            devices: adapt different streams.
        """
        self._parts, self._devices, self._streams = adapter.parts, list(devices), streams
        self._constants = spread(self._parts.replicated, self._devices)
        self._step = compile_lanes(self._parts, self._devices)
        self._states: AdaptState | None = None

    @property
    def states(self) -> AdaptState | None:
        """What every stream has learned; each array has an axis of devices and one of streams."""
        return self._states

    @property
    def count(self) -> int:
        """Streams at once."""
        return self._streams * len(self._devices)

    def start(self, seeds: Sequence[int]) -> None:
        """Begins anew with the source model in every stream.

        Args:
            seeds: of what the method draws at random, for at most `count` streams; the others,
                which will stay idle, get the last.
        """
        parts = self._parts
        state = jax.device_get(
            initial_state(parts.objective, parts.settings, parts.constants, parts.ranking)
        )
        every = np.array([*seeds, *[seeds[-1]] * (self.count - len(seeds))], np.int32)
        states = jax.tree.map(lambda x: np.broadcast_to(x, (self.count, *np.shape(x))), state)
        self._states = self._split(states._replace(seed=every))

    def ranks(self, batches: Batches) -> Ranks:
        """Learns from one batch of every stream, then says where right answers stand.

        Args:
            batches: of at most `count` streams; their rows, all of the same number, are padded or
                cut to few sizes that hold all real ones, which must stand first.
        """
        count = max(int(batches.mask.sum(axis=1).max()), 1)
        rows = padded_rows(count, self._parts.settings.batch_size, 1)
        inputs = jax.tree.map(lambda x: _to_rows(x, rows, "edge"), batches.inputs)
        mask, answers = (_to_rows(x, rows, "constant") for x in (batches.mask, batches.answers))
        padded = Batches(inputs, mask, batches.active, answers)
        missing = self.count - len(batches.active)
        whole = jax.tree.map(lambda x: _filled(x, missing), padded)
        whole.active[len(batches.active) :] = False
        self._states, ranks = self._step(self._constants, self._states, self._split(whole))
        return ranks

    def _split(self, tree: Any) -> Any:
        """The streams' axis by device: [count, ...] -> [devices, streams, ...]."""
        shape = (len(self._devices), self._streams)
        parts = jax.tree.map(lambda x: np.reshape(x, (*shape, *np.shape(x)[1:])), tree)
        return jax.device_put(parts, _sharding(self._devices))


Step = Callable[[Constants, AdaptState, Batches], tuple[AdaptState, Ranks]]


def compile_lanes(parts: Parts, devices: Sequence[jax.Device]) -> Any:
    """The step of all streams; every argument has a leading device axis. The states are donated."""
    update = make_update(parts.objective, parts.encoder, parts.settings, parts.ranking)
    # The update step averages and gathers over an axis of devices: for each stream one of size 1.
    alone = jax.vmap(update, in_axes=(None, 0, 0, 0), axis_name=AXIS, axis_size=1)

    def lane(
        constants: Constants, state: AdaptState, batch: Batches
    ) -> tuple[AdaptState, jax.Array, Diagnostics]:
        one = jax.tree.map(lambda x: x[None], (state, batch.inputs, batch.mask))
        after, queries, diagnostics = jax.tree.map(lambda x: x[0], alone(constants, *one))
        after = jax.tree.map(lambda new, old: jnp.where(batch.active, new, old), after, state)
        return after, queries, diagnostics

    def lanes(
        constants: Constants, states: AdaptState, batches: Batches
    ) -> tuple[AdaptState, Ranks]:
        states, queries, diagnostics = jax.vmap(lane, in_axes=(None, 0, 0))(
            constants, states, batches
        )

        gallery = Part(constants.gallery, constants.items)

        def ranked(one: tuple[Any, ...]) -> tuple[jax.Array, jax.Array | None]:
            queries, calibration, answers = one
            if parts.ranking.calibration == "off":
                (plain,) = ranks_by_each(queries, gallery, answers, [None])
                return plain, None
            hubs = correction(calibration, constants.temperature, parts.ranking)
            plain, calibrated = ranks_by_each(queries, gallery, answers, [None, hubs])
            return plain, calibrated

        # One stream after the other: in products of another shape the last bits differ, and an
        # answer might not equal itself.
        plain, calibrated = jax.lax.map(ranked, (queries, states.calibration, batches.answers))
        return states, Ranks(plain, calibrated, diagnostics)

    return jax.pmap(lanes, axis_name=LANES, devices=devices, donate_argnums=1)


def streams_at_once(
    adapter: Adapter, batches: Batches, wanted: int, devices: Sequence[jax.Device]
) -> int:
    """Streams for each device: as many as its memory holds, in rounds of equal size.

    Compiles the step of one stream, and reads from it what a stream needs.

    Args:
        adapter: of the streams.
        batches: of one stream.
        wanted: how many streams there are.
        devices: share them.
    """
    trial = SideBySide(adapter, 1, devices[:1])
    trial.start([0])
    arguments = (trial._constants, trial._states, trial._split(batches))
    needed = trial._step.lower(*arguments).compile().memory_analysis()
    each = needed.temp_size_in_bytes + needed.output_size_in_bytes
    fit = max(1, int(_SHARE * _free_bytes(devices) / max(each, 1)))
    rounds = -(-wanted // (fit * len(devices)))
    return -(-wanted // (rounds * len(devices)))


def _free_bytes(devices: Sequence[jax.Device]) -> float:
    """Of the fullest device; of the machine, shared by its devices, where they do not say."""
    stats = [device.memory_stats() for device in devices]
    known = [own["bytes_limit"] - own.get("bytes_in_use", 0) for own in stats if own]
    if len(known) == len(devices):
        return float(min(known))
    return float(psutil.virtual_memory().available) / len(devices)


def _to_rows(x: np.ndarray, rows: int, mode: Any) -> np.ndarray:
    """[streams, n, ...] with n cut or padded to `rows`."""
    missing = max(rows - x.shape[1], 0)
    return np.pad(x[:, :rows], [(0, 0), (0, missing)] + [(0, 0)] * (x.ndim - 2), mode=mode)


def _filled(x: np.ndarray, missing: int) -> np.ndarray:
    """More streams behind the others, copies of the last."""
    return np.pad(x, [(0, missing)] + [(0, 0)] * (x.ndim - 1), mode="edge")


def _sharding(devices: Sequence[jax.Device]) -> jax.sharding.Sharding:
    mesh = jax.sharding.Mesh(devices, (LANES,), axis_types=(jax.sharding.AxisType.Auto,))
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(LANES))
