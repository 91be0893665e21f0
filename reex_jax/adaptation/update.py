"""The update step: one function per device, run over all of them by `jax.pmap`.

Each device embeds its own part of the batch. The embeddings are gathered, every device computes the
same loss over the whole batch, and each one's gradient, which flows through its own part only,
is averaged: gathering sums the derivatives of all devices' equal losses, so the average is the
gradient of one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int32, Key, Shaped

from reex_jax.adaptation.encoder import Constants, Inputs, QueryEncoder
from reex_jax.adaptation.masked import per_row_keys
from reex_jax.adaptation.objective import Batch, Objective, Parameters, Problem, Start, State
from reex_jax.settings.adaptation import AdaptSettings

AXIS = "devices"


class AdaptState(NamedTuple):
    """Everything that changes while a stream is adapted to; a checkpoint holds it whole.

    Attributes:
        parameters: the adapted parameters.
        optimizer: AdamW's moments.
        objective: the objective's own state.
        seed: of whatever the method draws at random; only `Adapter.reset` changes it.
        batches: batches seen.
        skipped: updates left out because loss or gradient was not finite.
    """

    parameters: Parameters
    optimizer: Any
    objective: State
    seed: Int32[Array, ""]
    batches: Int32[Array, ""]
    skipped: Int32[Array, ""]


class Diagnostics(NamedTuple):
    """How the updates on one batch went.

    Attributes:
        loss: at the last step.
        confident: the share of queries that the method trusted at the last step.
        skipped: updates of this batch that were left out as not finite.
    """

    loss: Float[Array, ""]
    confident: Float[Array, ""]
    skipped: Int32[Array, ""]


def make_optimizer(weight_decay: float) -> optax.GradientTransformation:
    """AdamW as PyTorch has it, up to the factor -learning_rate (Loshchilov and Hutter, 2019)."""
    return optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(weight_decay))


def initial_state(
    objective: Objective, settings: AdaptSettings, constants: Constants, seed: int | None = None
) -> AdaptState:
    """The state before the first batch; its arrays are copies, so that steps may donate them.

    Args:
        objective: whose own state is made.
        settings: of the adapter.
        constants: before they are replicated.
        seed: None for that of the settings.
    """
    source = jax.tree.map(jnp.copy, constants.source)
    start = Start(settings.batch_size, constants.gallery, source)
    return AdaptState(
        source,
        make_optimizer(settings.weight_decay).init(source),
        objective.init(start),
        jnp.int32(settings.seed if seed is None else seed),
        jnp.int32(0),
        jnp.int32(0),
    )


Update = Callable[..., tuple[AdaptState, jax.Array, Diagnostics]]


@dataclass(frozen=True)
class _View:
    """One device's view of a batch, from which every step takes its `Batch`.

    Attributes:
        encoder: embeds.
        constants: what it reads.
        inputs: of the device's own queries.
        mask: of the whole batch.
        index: how many batches came before.
        key: of this batch.
    """

    encoder: QueryEncoder
    constants: Constants
    inputs: Inputs
    mask: Bool[Array, " batch"]
    index: Int32[Array, ""]
    key: Key[Array, ""]

    def embed(self, parameters: Parameters, inputs: Inputs) -> Float[Array, "batch dim"]:
        """The whole batch, from every device's own inputs."""
        return _gather(self.encoder.embed(parameters, self.constants, inputs))

    def batch(self, step: Int32[Array, ""], parameters: Parameters) -> Batch:
        """The batch as a loss sees it at some parameters."""
        key = jax.random.fold_in(self.key, step)

        def shuffled() -> Float[Array, "batch dim"]:
            own = len(jax.tree.leaves(self.inputs)[0])
            keys = _own_part(per_row_keys(key, self.mask.shape[0]), own)
            inputs = self.encoder.shuffle(self.inputs, keys)
            return jax.lax.stop_gradient(self.embed(parameters, inputs))

        return Batch(
            queries=self.embed(parameters, self.inputs),
            gallery=self.constants.gallery,
            mask=self.mask,
            temperature=self.constants.temperature,
            step=step,
            index=self.index,
            key=key,
            shuffled=shuffled,
        )


def make_update(objective: Objective, encoder: QueryEncoder, settings: AdaptSettings) -> Update:
    """All updates on one batch, as one function of one device.

    Returns:
        (constants, state, inputs of the device's b queries, mask [b] bool) -> (next state,
        embeddings to rank [B, d] float32 of the whole batch, `Diagnostics`). It must run under an
        axis named AXIS.
    """
    optimizer = make_optimizer(settings.weight_decay)
    steps = settings.steps if objective.learns else 0

    def update(
        constants: Constants, state: AdaptState, inputs: Inputs, mask: Bool[Array, " own"]
    ) -> tuple[AdaptState, Float[Array, "batch dim"], Diagnostics]:
        whole_mask = _gather(mask)
        if settings.rate_batch:
            scale = whole_mask.sum(dtype=jnp.float32) / settings.rate_batch
            constants = constants._replace(learning_rate=scale * constants.learning_rate)
        key = jax.random.fold_in(jax.random.key(state.seed), state.batches)
        view = _View(encoder, constants, inputs, whole_mask, state.batches, key)

        def one(state: AdaptState, step: Int32[Array, ""]) -> tuple[AdaptState, Any]:
            forward, mean = partial(view.batch, step), partial(jax.lax.pmean, axis_name=AXIS)
            problem = Problem(forward, mean, constants.source)
            taken = objective.differentiate(
                objective.loss, problem, state.parameters, state.objective
            )
            state, skipped = _apply(optimizer, constants, state, taken.gradient, taken.loss)
            confident = jnp.asarray(taken.loss.confident, jnp.float32)
            return state, (taken.queries, Diagnostics(taken.loss.value, confident, skipped))

        if steps == 0:
            nothing = Diagnostics(jnp.float32(0), jnp.float32(1), jnp.int32(0))
            queries = view.embed(state.parameters, inputs)
            return state._replace(batches=state.batches + 1), queries, nothing
        state, (queries, each) = jax.lax.scan(one, state, jnp.arange(steps, dtype=jnp.int32))
        ranked = {
            "last_forward": lambda: queries[-1],
            "before": lambda: queries[0],
            "after": lambda: view.embed(state.parameters, inputs),
        }[settings.score]()
        diagnostics = Diagnostics(each.loss[-1], each.confident[-1], each.skipped.sum())
        return state._replace(batches=state.batches + 1), ranked, diagnostics

    return update


def _apply(
    optimizer: optax.GradientTransformation,
    constants: Constants,
    state: AdaptState,
    gradient: Parameters,
    loss: Any,
) -> tuple[AdaptState, Int32[Array, ""]]:
    """One step of the optimiser, unless the loss says otherwise or something is not finite."""
    finite = jnp.isfinite(loss.value)
    for leaf in jax.tree.leaves(gradient):
        finite &= jnp.isfinite(leaf).all()
    # optax raises a float to the power of its int32 count.
    with jax.numpy_dtype_promotion("standard"):
        changes, moments = optimizer.update(gradient, state.optimizer, state.parameters)
    rate, back = constants.learning_rate, loss.decay
    moved = jax.tree.map(
        lambda p, c, source: p - rate * c + back * (source - p),
        state.parameters,
        changes,
        constants.source,
    )
    parameters, moments = _choose(
        finite & loss.moves, (moved, moments), (state.parameters, state.optimizer)
    )
    fresh = (constants.source, optimizer.init(constants.source))
    parameters, moments = _choose(finite & loss.restore, fresh, (parameters, moments))
    skipped = (~finite).astype(jnp.int32)
    state = state._replace(
        parameters=parameters,
        optimizer=moments,
        objective=_choose(finite, loss.state, state.objective),
        skipped=state.skipped + skipped,
    )
    return state, skipped


def _choose(condition: Bool[Array, ""], yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def _gather(x: Shaped[Array, " own *rest"]) -> Shaped[Array, " batch *rest"]:
    return jax.lax.all_gather(x, AXIS, tiled=True)


def _own_part(rows: Shaped[Array, " batch"], size: int) -> Shaped[Array, " {size}"]:
    return jax.lax.dynamic_slice_in_dim(rows, jax.lax.axis_index(AXIS) * size, size)


def compile_update(
    objective: Objective,
    encoder: QueryEncoder,
    settings: AdaptSettings,
    devices: Sequence[jax.Device],
) -> Update:
    """`make_update` over devices by `jax.pmap`; every argument has a leading device axis.

    The state is donated.
    """
    update = make_update(objective, encoder, settings)
    return jax.pmap(update, axis_name=AXIS, devices=devices, donate_argnums=1)


def compile_embed(
    encoder: QueryEncoder, devices: Sequence[jax.Device]
) -> Callable[[Constants, Parameters, Inputs], jax.Array]:
    """Embeds a batch without learning, over devices; every argument has a leading device axis."""

    def embed(
        constants: Constants, parameters: Parameters, inputs: Inputs
    ) -> Float[Array, "batch dim"]:
        return _gather(encoder.embed(parameters, constants, inputs))

    return jax.pmap(embed, axis_name=AXIS, devices=devices)


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
