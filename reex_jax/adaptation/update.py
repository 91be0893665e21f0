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
import optax
from jaxtyping import Array, Bool, Float, Int32, Key

from reex_jax.adaptation.encoder import Constants, Inputs, QueryEncoder, Stream
from reex_jax.adaptation.guard import AFTER_RUIN, judge
from reex_jax.adaptation.masked import per_row_keys
from reex_jax.adaptation.objective import Batch, Objective, Parameters, Problem
from reex_jax.adaptation.replicas import AXIS, gather, own_part
from reex_jax.adaptation.state import AdaptState, make_optimizer
from reex_jax.retrieval.calibration import Arrival, arrive, observe
from reex_jax.retrieval.part import Part
from reex_jax.settings.adaptation import AdaptSettings
from reex_jax.settings.ranking import Ranking


class Diagnostics(NamedTuple):
    """How the updates on one batch went.

    Attributes:
        loss: at the last step.
        confident: the share of queries that the method trusted at the last step.
        skipped: updates of this batch that were left out as not finite.
        restored: 1 where the batch found the model ruined, and it was put back to the source.
    """

    loss: Float[Array, ""]
    confident: Float[Array, ""]
    skipped: Int32[Array, ""]
    restored: Int32[Array, ""]


Update = Callable[..., tuple[AdaptState, jax.Array, Diagnostics]]


@dataclass(frozen=True)
class _View:
    """One device's view of a batch, from which every step takes its `Batch`.

    Attributes:
        encoder: embeds.
        constants: what it reads.
        inputs: of the device's own queries.
        stream: these behind the frozen front of the encoder.
        mask: of the whole batch.
        sources: the whole batch, embedded by the source model.
        arrival: what the batch is to the queries before it.
        ranking: how ranking corrects for hubs.
        index: how many batches came before.
        key: of this batch.
        axis: over whose devices the gallery is split, if it is.
    """

    encoder: QueryEncoder
    constants: Constants
    inputs: Inputs
    stream: Stream
    mask: Bool[Array, " batch"]
    sources: Float[Array, "batch dim"]
    arrival: Arrival
    ranking: Ranking
    index: Int32[Array, ""]
    key: Key[Array, ""]
    axis: str | None

    def embed(self, parameters: Parameters) -> Float[Array, "batch dim"]:
        """The whole batch, from every device's own queries."""
        return gather(self.encoder.back(parameters, self.constants, self.stream))

    def batch(self, step: Int32[Array, ""], parameters: Parameters) -> Batch:
        """The batch as a loss sees it at some parameters."""
        key = jax.random.fold_in(self.key, step)

        def shuffled() -> Float[Array, "batch dim"]:
            own = len(jax.tree.leaves(self.inputs)[0])
            keys = own_part(per_row_keys(key, self.mask.shape[0]), own)
            inputs = self.encoder.shuffle(self.inputs, keys)
            embeddings = self.encoder.embed(parameters, self.constants, inputs)
            return jax.lax.stop_gradient(gather(embeddings))

        return Batch(
            queries=self.embed(parameters),
            gallery=self.constants.gallery,
            mask=self.mask,
            temperature=self.constants.temperature,
            step=step,
            index=self.index,
            key=key,
            sources=self.sources,
            counted=self.arrival.counted,
            changed=self.arrival.changed,
            calibration=self.arrival.calibration,
            ranking=self.ranking,
            shuffled=shuffled,
            items=self.constants.items,
            axis=self.axis,
        )


def make_update(
    objective: Objective,
    encoder: QueryEncoder,
    settings: AdaptSettings,
    ranking: Ranking,
    axis: str | None = None,
) -> Update:
    """All updates on one batch, as one function of one device.

    `axis` is that over whose devices the gallery is split, if it is.

    Returns:
        (constants, state, inputs of the device's b queries, mask [b] bool) -> (next state,
        embeddings to rank [B, d] float32 of the whole batch, `Diagnostics`). It must run under an
        axis named AXIS.
    """
    optimizer = make_optimizer(settings.weight_decay, objective.adam_eps)
    steps = settings.steps if objective.learns else 0

    def update(
        constants: Constants, state: AdaptState, inputs: Inputs, mask: Bool[Array, " own"]
    ) -> tuple[AdaptState, Float[Array, "batch dim"], Diagnostics]:
        whole_mask = gather(mask)
        # A rate that has ruined the model once would do so again.
        scale = AFTER_RUIN ** state.restored.astype(jnp.float32)
        if settings.rate_batch:
            scale *= whole_mask.sum(dtype=jnp.float32) / settings.rate_batch
        constants = constants._replace(learning_rate=scale * constants.learning_rate)
        key = jax.random.fold_in(jax.random.key(state.seed), state.batches)
        view = _view(encoder, constants, inputs, whole_mask, state, ranking, key, axis)

        def one(state: AdaptState, step: Int32[Array, ""]) -> tuple[AdaptState, Any]:
            forward, mean = partial(view.batch, step), partial(jax.lax.pmean, axis_name=AXIS)
            problem = Problem(forward, mean, constants.source)
            taken = objective.differentiate(
                objective.loss, problem, state.parameters, state.objective
            )
            state, skipped = _apply(optimizer, constants, state, taken.gradient, taken.loss)
            confident = jnp.asarray(taken.loss.confident, jnp.float32)
            return state, (taken.queries, taken.loss.value, confident, skipped)

        if steps == 0:
            nothing = Diagnostics(jnp.float32(0), jnp.float32(1), jnp.int32(0), jnp.int32(0))
            queries = view.embed(state.parameters) if objective.learns else view.sources
            # No loss looks at hubs either: only ranking may.
            hubs = ranking.calibration != "off"
            return _seen(state, view, queries, hubs), queries, nothing
        state, (queries, losses, confident, skipped) = jax.lax.scan(
            one, state, jnp.arange(steps, dtype=jnp.int32)
        )
        ranked = {
            "last_forward": lambda: queries[-1],
            "before": lambda: queries[0],
            "after": lambda: view.embed(state.parameters),
        }[settings.score]()
        verdict = judge(ranked, view.sources, whole_mask, failed=skipped.min() > 0)
        restored = verdict.ruined.astype(jnp.int32)
        state = _restored(state, constants, optimizer, verdict.ruined)
        diagnostics = Diagnostics(losses[-1], confident[-1], skipped.sum(), restored)
        return _seen(state, view, verdict.queries), verdict.queries, diagnostics

    return update


def _view(
    encoder: QueryEncoder,
    constants: Constants,
    inputs: Inputs,
    mask: Bool[Array, " batch"],
    state: AdaptState,
    ranking: Ranking,
    key: Key[Array, ""],
    axis: str | None,
) -> _View:
    stream = encoder.front(constants, inputs)
    sources = gather(encoder.back(constants.source, constants, stream))
    arrival = arrive(state.calibration, sources, mask, ranking)
    return _View(
        encoder,
        constants,
        inputs,
        stream,
        mask,
        sources,
        arrival,
        ranking,
        state.batches,
        key,
        axis,
    )


def _seen(
    state: AdaptState, view: _View, queries: Float[Array, "batch dim"], hubs: bool = True
) -> AdaptState:
    """The state after a batch that is ranked as `queries`; `hubs`: whether anything asks for them.

    Queries of another sort are noticed in any case.
    """
    constants = view.constants
    part = Part(constants.gallery, constants.items, view.axis)
    calibration = observe(
        view.arrival.calibration,
        queries,
        view.sources,
        view.arrival.counted,
        part if hubs else None,
        constants.temperature,
        view.ranking,
    )
    return state._replace(calibration=calibration, batches=state.batches + 1)


def _restored(
    state: AdaptState,
    constants: Constants,
    optimizer: optax.GradientTransformation,
    ruined: Bool[Array, ""],
) -> AdaptState:
    """The state with the source's parameters and a fresh optimiser where the model is ruined."""
    fresh = (constants.source, optimizer.init(constants.source))
    parameters, moments = _choose(ruined, fresh, (state.parameters, state.optimizer))
    restored = state.restored + ruined.astype(jnp.int32)
    return state._replace(parameters=parameters, optimizer=moments, restored=restored)


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
    rate, back = loss.rate * constants.learning_rate, loss.decay
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


def compile_update(
    objective: Objective,
    encoder: QueryEncoder,
    settings: AdaptSettings,
    ranking: Ranking,
    devices: Sequence[jax.Device],
    axis: str | None = None,
) -> Update:
    """`make_update` over devices by `jax.pmap`; every argument has a leading device axis.

    The state is donated.
    """
    update = make_update(objective, encoder, settings, ranking, axis)
    return jax.pmap(update, axis_name=AXIS, devices=devices, donate_argnums=1)
