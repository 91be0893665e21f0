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

Parameters = Any  # a pytree of the adapted float32 arrays
State = Any  # a pytree of arrays whose shapes never change


@dataclass(frozen=True)
class Batch:
    """One batch of queries, as a loss sees it. B counts padded rows too; `mask` tells them.

    Attributes:
        queries: [B, d] float32 unit embeddings; gradients flow through them.
        gallery: [N, d] float32 unit embeddings, constant.
        mask: [B] bool, False for rows that only pad. Nothing may depend on these.
        temperature: scalar float32, the model's own (1 / exp(logit_scale)).
        step: scalar int32, 0 for the first update on this batch.
        index: scalar int32, how many batches of the stream came before.
        key: random key of this batch and step.
        shuffled: embeds the same queries with their parts (patches, tokens) in random order:
            [B, d] float32, constant. Costs a forward pass when called.
    """

    queries: jax.Array
    gallery: jax.Array
    mask: jax.Array
    temperature: jax.Array
    step: jax.Array
    index: jax.Array
    key: jax.Array
    shuffled: Callable[[], jax.Array]

    @property
    def similarities(self) -> jax.Array:
        """Cosines of every query with every gallery item: [B, N] float32."""
        return jnp.matmul(self.queries, self.gallery.T, precision=jax.lax.Precision.HIGHEST)

    @property
    def count(self) -> jax.Array:
        """Number of real queries, scalar int32."""
        return self.mask.sum(dtype=jnp.int32)


class Loss(NamedTuple):
    """What a loss gives back.

    Attributes:
        value: scalar float32, what is minimised.
        state: the objective's next state.
        confident: scalar float32, the share of the real queries that the method trusts.
        moves: scalar bool; False leaves parameters and optimiser as they are in this step.
        restore: scalar bool; True puts both back to where the stream began, after the step.
        decay: scalar float32 in 0..1, the share of the way back to the source that the parameters
            go after the step; what keeps a long stream from drifting.
    """

    value: jax.Array
    state: State
    confident: jax.Array | float = 1.0
    moves: jax.Array | bool = True
    restore: jax.Array | bool = False
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
        gallery: [N, d] float32.
        parameters: the source parameters that will be adapted.
    """

    batch_size: int
    gallery: jax.Array
    parameters: Parameters


def no_state(start: Start) -> State:
    """The state of an objective that remembers nothing."""
    del start
    return ()


@dataclass(frozen=True)
class Objective:
    """An adaptation method.

    Attributes:
        loss: (batch, state) -> `Loss`.
        init: `Start` -> the state before the first batch.
        differentiate: how a step's gradient comes from the loss.
        learns: False for a method that never updates; it costs one forward pass.
    """

    loss: LossFunction
    init: Callable[[Start], State] = no_state
    differentiate: Differentiation = plain_gradient
    learns: bool = True
