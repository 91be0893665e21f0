"""What an adaptation method is: how its state starts, its loss, and how the gradient is taken.

An objective is data: pure functions over explicit state, like a gradient transformation of optax.
A method that is only a loss gives `loss`; one with memory gives `init` too; one whose step is more
than the gradient of its loss (SAR climbs first, EATA anchors) gives a `Differentiation` as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, Key, Shaped

from reex_jax.arrays import cosines, log_softmax_at
from reex_jax.retrieval.calibration import Calibration, correction, observe
from reex_jax.retrieval.part import Part, as_float32
from reex_jax.retrieval.softmax import Softmax, mean_prediction, softmax_over
from reex_jax.retrieval.topk import best_items
from reex_jax.settings.ranking import Ranking

Parameters = Any  # a pytree of the adapted float32 arrays
State = Any  # a pytree of arrays whose shapes never change


@dataclass(frozen=True)
class Batch:
    """One batch of queries, as a loss sees it. `batch` counts padded rows too; `mask` tells them.

    Attributes:
        queries: unit embeddings; gradients flow through them.
        gallery: unit embeddings, constant; see `part` for how to look at many of them.
        mask: False for rows that only pad. Nothing may depend on these.
        temperature: the model's own.
        step: 0 for the first update on this batch.
        index: how many batches of the stream came before.
        key: random key of this batch and step.
        sources: the same queries, embedded by the source model; constant.
        counted: rows that are real and no repeats of recent queries.
        changed: whether the queries are of another sort than those before.
        calibration: what the stream has shown of the gallery before this batch.
        ranking: how ranking corrects for hubs.
        shuffled: embeds the same queries with their parts (patches, tokens) in random order:
            [batch, dim] float32, constant. Costs a forward pass when called.
        items: how many rows of the whole gallery are in use; None: all.
        axis: over whose devices the gallery is split; None: this device has all of it.
    """

    queries: Float[Array, "batch dim"]
    gallery: Shaped[Array, "items dim"]
    mask: Bool[Array, " batch"]
    temperature: Float[Array, ""]
    step: Int32[Array, ""]
    index: Int32[Array, ""]
    key: Key[Array, ""]
    sources: Float[Array, "batch dim"]
    counted: Bool[Array, " batch"]
    changed: Bool[Array, ""]
    calibration: Calibration
    ranking: Ranking
    shuffled: Callable[[], Float[Array, "batch dim"]]
    items: Int32[Array, ""] | None = None
    axis: str | None = None

    @property
    def part(self) -> Part:
        """The gallery, as the functions of `retrieval` take one that may be split."""
        return Part(self.gallery, self.items, self.axis)

    @property
    def similarities(self) -> Float[Array, "batch places"]:
        """Cosines of every query with every gallery item; -1 for places without one.

        All at once: for small galleries. `best` and `softmax` scan galleries of any size.
        """
        part = self.part
        own = cosines(self.queries, as_float32(part.rows))
        return jnp.where(part.used()[None, :], part.whole(own, axis=1), -1.0)

    @property
    def count(self) -> Int32[Array, ""]:
        """Number of real queries."""
        return self.mask.sum(dtype=jnp.int32)

    @property
    def log_items(self) -> Float[Array, ""]:
        """log of the number of gallery items: the entropy of knowing nothing. At least log 2."""
        return jnp.log(jnp.maximum(self.part.count, 2).astype(jnp.float32))

    def log_probabilities(self, relative_temperature: float) -> Float[Array, "batch places"]:
        """log softmax over the gallery, at so many of the model's own temperatures; all at once."""
        known = jnp.where(self.part.used()[None, :], self.similarities, -jnp.inf)
        return log_softmax_at(known, self.at(relative_temperature))

    def at(self, relative_temperature: float) -> Float[Array, ""]:
        """So many of the model's own temperatures."""
        return relative_temperature * self.temperature

    def softmax(self, relative_temperature: float) -> Softmax:
        """Normaliser, entropy and best item of each query's softmax over the gallery."""
        return softmax_over(self.queries, self.part, self.at(relative_temperature))

    def log_probability(
        self, items: Int32[Array, " batch"], relative_temperature: float, softmax: Softmax
    ) -> Float[Array, " batch"]:
        """That of one item for each query, under its softmax."""
        cosine = (self.queries * self.part.at(items)).sum(axis=1)
        return cosine / self.at(relative_temperature) - softmax.log_sum

    def mean_prediction(
        self, relative_temperature: float, softmax: Softmax, weights: Float[Array, " batch"]
    ) -> Float[Array, " places"]:
        """The queries' softmaxes, weighted and added up; 0 for places without an item."""
        temperature = self.at(relative_temperature)
        return mean_prediction(self.queries, self.part, temperature, softmax.log_sum, weights)

    def best(
        self, k: int, correction: Float[Array, " places"] | None = None
    ) -> tuple[Float[Array, "batch k"], Int32[Array, "batch k"]]:
        """Scores and positions of the k items with the best cosine minus correction; constant."""
        return best_items(jax.lax.stop_gradient(self.queries), self.part, k, correction)

    def correction(self) -> Float[Array, " places"]:
        """What ranking takes from each item's cosines, this batch included; constant."""
        queries = jax.lax.stop_gradient(self.queries)
        state = observe(
            self.calibration,
            queries,
            self.sources,
            self.counted,
            self.part,
            self.temperature,
            self.ranking,
        )
        return correction(state, self.temperature, self.ranking)


class Loss(NamedTuple):
    """What a loss gives back.

    Attributes:
        value: scalar float32, what is minimised.
        state: the objective's next state.
        confident: scalar float32, the share of the real queries that the method trusts.
        moves: scalar bool; False leaves parameters and optimiser as they are in this step.
        restore: scalar bool; True puts both back to where the stream began, after the step.
        rate: scalar float32, the share of the learning rate that the step takes.
        decay: scalar float32 in 0..1, the share of the way back to the source that the parameters
            go after the step; what keeps a long stream from drifting.
    """

    value: jax.Array
    state: State
    confident: jax.Array | float = 1.0
    moves: jax.Array | bool = True
    restore: jax.Array | bool = False
    rate: jax.Array | float = 1.0
    decay: jax.Array | float = 0.0


LossFunction = Callable[[Batch, State], Loss]


class Step(NamedTuple):
    """A gradient and what came with it.

    Attributes:
        gradient: like the parameters.
        loss: of the pass that the gradient belongs to.
        queries: [B, d] float32 embeddings of the step's first forward pass.
    """

    gradient: Parameters
    loss: Loss
    queries: jax.Array


@dataclass(frozen=True)
class Problem:
    """What a `Differentiation` may use.

    Attributes:
        forward: parameters -> the batch, embedded with them.
        mean: averages a gradient over the devices that share the batch.
        source: the parameters with which the stream began.
    """

    forward: Callable[[Parameters], Batch]
    mean: Callable[[Parameters], Parameters]
    source: Parameters

    def differentiate(self, loss: LossFunction, parameters: Parameters, state: State) -> Step:
        """The gradient of a loss at some parameters, averaged over devices."""

        def value(parameters: Parameters) -> tuple[jax.Array, tuple[Loss, jax.Array]]:
            batch = self.forward(parameters)
            result = loss(batch, state)
            return result.value, (result, batch.queries)

        gradient, (result, queries) = jax.grad(value, has_aux=True)(parameters)
        return Step(self.mean(gradient), result, queries)


Differentiation = Callable[[LossFunction, Problem, Parameters, State], Step]


def plain_gradient(
    loss: LossFunction, problem: Problem, parameters: Parameters, state: State
) -> Step:
    """The gradient of the loss, as it is."""
    return problem.differentiate(loss, parameters, state)


class Start(NamedTuple):
    """What an objective's first state may depend on.

    Attributes:
        batch_size: the largest number of rows of a batch.
        gallery: the shape [N, d] of what is searched: N places, of which some may be free.
        parameters: the source parameters that will be adapted.
    """

    batch_size: int
    gallery: jax.Array | np.ndarray | jax.ShapeDtypeStruct
    parameters: Parameters


def no_state(start: Start) -> State:
    """The state of an objective that remembers nothing."""
    del start
    return ()


def no_items(state: State, origin: np.ndarray) -> State:
    """The state of an objective that remembers no gallery items follows any gallery."""
    del origin
    return state


@dataclass(frozen=True)
class Objective:
    """An adaptation method.

    Attributes:
        loss: (batch, state) -> `Loss`.
        init: `Start` -> the state before the first batch.
        differentiate: how a step's gradient comes from the loss.
        learns: False for a method that never updates; it costs one forward pass.
        adam_eps: of Adam; a large one makes small gradients small steps.
        regrown: (state, origin [M] int32) -> the state for another gallery of M places; origin has
            each one's position in the old gallery, -1 for a new item or a free place. Not compiled.
    """

    loss: LossFunction
    init: Callable[[Start], State] = no_state
    differentiate: Differentiation = plain_gradient
    learns: bool = True
    adam_eps: float = 1e-8
    regrown: Callable[[State, np.ndarray], State] = no_items
