"""All that changes while a stream is adapted to, and how it begins."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int32

from reex_jax.adaptation.encoder import Constants
from reex_jax.adaptation.objective import Objective, Parameters, Start, State
from reex_jax.retrieval.calibration import Calibration, nothing_seen
from reex_jax.settings.adaptation import AdaptSettings
from reex_jax.settings.ranking import Ranking


class AdaptState(NamedTuple):
    """Everything that changes while a stream is adapted to; a checkpoint holds it whole.

    Attributes:
        parameters: the adapted parameters.
        optimizer: AdamW's moments.
        objective: the objective's own state.
        calibration: what the stream has shown of the gallery.
        seed: of whatever the method draws at random; only `Adapter.reset` changes it.
        batches: batches seen.
        skipped: updates left out because loss or gradient was not finite.
        restored: how often a ruined model was put back to the source.
    """

    parameters: Parameters
    optimizer: Any
    objective: State
    calibration: Calibration
    seed: Int32[Array, ""]
    batches: Int32[Array, ""]
    skipped: Int32[Array, ""]
    restored: Int32[Array, ""]


def make_optimizer(weight_decay: float, eps: float = 1e-8) -> optax.GradientTransformation:
    """AdamW as PyTorch has it, up to the factor -learning_rate (Loshchilov and Hutter, 2019).

    Args:
        weight_decay: decoupled.
        eps: beside the root of the second moment; a large one makes small gradients small steps.
    """
    return optax.chain(optax.scale_by_adam(eps=eps), optax.add_decayed_weights(weight_decay))


def initial_state(
    objective: Objective,
    settings: AdaptSettings,
    constants: Constants,
    ranking: Ranking,
    seed: int | None = None,
) -> AdaptState:
    """The state before the first batch; its arrays are copies, so that steps may donate them.

    Args:
        objective: whose own state is made.
        settings: of the adapter.
        constants: before they are replicated.
        ranking: how ranking corrects for hubs.
        seed: None for that of the settings.
    """
    source = jax.tree.map(jnp.copy, constants.source)
    start = Start(settings.batch_size, constants.gallery, source)
    items, dim = constants.gallery.shape
    return AdaptState(
        source,
        make_optimizer(settings.weight_decay, objective.adam_eps).init(source),
        objective.init(start),
        nothing_seen(items, dim, ranking),
        jnp.int32(settings.seed if seed is None else seed),
        jnp.int32(0),
        jnp.int32(0),
        jnp.int32(0),
    )
