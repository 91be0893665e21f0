"""The update step: one function per device, run over all of them by `jax.pmap`.

Each device embeds its share of the batch. The embeddings are gathered, every device computes the
same loss over the whole batch, and each one's gradient, which flows through its own share only,
is averaged: gathering sums the derivatives of all devices' equal losses, so the average is the
gradient of one.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from reex_jax.adaptation.encoder import Constants, Inputs, QueryEncoder
from reex_jax.adaptation.masked import per_row_keys
from reex_jax.adaptation.objective import Batch, Objective, Parameters, Problem, Start, State
from reex_jax.adaptation.settings import AdaptSettings

AXIS = "devices"


class AdaptState(NamedTuple):
    """Everything that changes while a stream is adapted to; a checkpoint holds it whole.

    Attributes:
        parameters: the adapted parameters.
        optimizer: AdamW's moments.
        objective: the objective's own state.
        batches: scalar int32, batches seen.
        skipped: scalar int32, updates left out because loss or gradient was not finite.
    """

    parameters: Parameters
    optimizer: Any
    objective: State
    batches: jax.Array
    skipped: jax.Array


class Diagnostics(NamedTuple):
    """How the updates on one batch went, scalars.

    Attributes:
        loss: float32, at the last step.
        confident: float32, the share of queries that the method trusted at the last step.
        skipped: int32, updates of this batch that were left out as not finite.
    """

    loss: jax.Array
    confident: jax.Array
    skipped: jax.Array


def make_optimizer(weight_decay: float) -> optax.GradientTransformation:
    """AdamW as PyTorch has it, up to the factor -learning_rate (Loshchilov and Hutter, 2019)."""
    return optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(weight_decay))


def initial_state(
    objective: Objective, settings: AdaptSettings, constants: Constants
) -> AdaptState:
    """The state before the first batch; its arrays are copies, so that steps may donate them."""
    source = jax.tree.map(jnp.copy, constants.source)
    start = Start(settings.batch_size, constants.gallery, source)
    return AdaptState(
        source,
        make_optimizer(settings.weight_decay).init(source),
        objective.init(start),
        jnp.int32(0),
        jnp.int32(0),
    )


Update = Callable[..., tuple[AdaptState, jax.Array, Diagnostics]]


def make_update(objective: Objective, encoder: QueryEncoder, settings: AdaptSettings) -> Update:
    """All updates on one batch, as one function of one device.

    Returns:
        (constants, state, inputs of the device's b queries, mask [b] bool) -> (next state,
        embeddings to rank [B, d] float32 of the whole batch, `Diagnostics`). It must run under an
        axis named AXIS.
    """
    optimizer = make_optimizer(settings.weight_decay)
    steps = settings.steps if objective.learns else 0
    seed = settings.seed

    def update(
        constants: Constants, state: AdaptState, inputs: Inputs, mask: jax.Array
    ) -> tuple[AdaptState, jax.Array, Diagnostics]:
        whole_mask = _gather(mask)
        if settings.rate_batch:
            scale = whole_mask.sum(dtype=jnp.float32) / settings.rate_batch
            constants = constants._replace(learning_rate=scale * constants.learning_rate)
        batch_key = jax.random.fold_in(jax.random.key(seed), state.batches)

        def embed(parameters: Parameters, inputs: Inputs = inputs) -> jax.Array:
            return _gather(encoder.embed(parameters, constants, inputs))

        def one(state: AdaptState, step: jax.Array) -> tuple[AdaptState, Any]:
            key = jax.random.fold_in(batch_key, step)

            def forward(parameters: Parameters) -> Batch:
                return Batch(
                    queries=embed(parameters),
                    gallery=constants.gallery,
                    mask=whole_mask,
                    temperature=constants.temperature,
                    step=step,
                    index=state.batches,
                    key=key,
                    shuffled=partial(shuffled, parameters),
                )

            def shuffled(parameters: Parameters) -> jax.Array:
                keys = _own_share(per_row_keys(key, whole_mask.shape[0]), mask.shape[0])
                return jax.lax.stop_gradient(embed(parameters, encoder.shuffle(inputs, keys)))

            problem = Problem(forward, partial(jax.lax.pmean, axis_name=AXIS), constants.source)
            taken = objective.differentiate(
                objective.loss, problem, state.parameters, state.objective
            )
            state, skipped = _apply(optimizer, constants, state, taken.gradient, taken.loss)
            diagnostics = Diagnostics(taken.loss.value, jnp.float32(taken.loss.confident), skipped)
            return state, (taken.queries, diagnostics)

        if steps == 0:
            state = state._replace(batches=state.batches + 1)
            nothing = Diagnostics(jnp.float32(0), jnp.float32(1), jnp.int32(0))
            return state, embed(state.parameters), nothing
        state, (queries, each) = jax.lax.scan(one, state, jnp.arange(steps, dtype=jnp.int32))
        ranked = {
            "last_forward": lambda: queries[-1],
            "before": lambda: queries[0],
            "after": lambda: embed(state.parameters),
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
) -> tuple[AdaptState, jax.Array]:
    """One step of the optimiser, unless the loss says otherwise or something is not finite."""
    finite = jnp.isfinite(loss.value)
    for leaf in jax.tree.leaves(gradient):
        finite &= jnp.isfinite(leaf).all()
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
    return (
        AdaptState(
            parameters,
            moments,
            _choose(finite, loss.state, state.objective),
            state.batches,
            state.skipped + skipped,
        ),
        skipped,
    )


def _choose(condition: jax.Array, yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def _gather(x: jax.Array) -> jax.Array:
    return jax.lax.all_gather(x, AXIS, tiled=True)


def _own_share(rows: jax.Array, size: int) -> jax.Array:
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


def replicate(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """A copy of every array on each device, with a leading device axis."""
    mesh = jax.sharding.Mesh(devices, (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))

    def copies(x: jax.Array) -> jax.Array:
        x = x[None]
        parts = [jax.device_put(x, device) for device in devices]
        shape = (len(devices), *x.shape[1:])
        return jax.make_array_from_single_device_arrays(shape, sharding, parts)

    return jax.tree.map(copies, tree)


def first_copy(tree: Any) -> Any:
    """The first device's copy of what `replicate` made or a step returned."""
    return jax.tree.map(lambda x: x.addressable_shards[0].data[0], tree)
