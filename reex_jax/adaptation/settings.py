"""Settings that every adaptation method shares, and the checks of all settings."""

import math
from dataclasses import dataclass, fields
from typing import Any

from reex_jax.adaptation.defaults import LEARNING_RATE, PARAMETERS, SCORES
from reex_jax.settings.checks import integer, number, one_of

_LARGEST = math.nextafter(math.inf, 0)


@dataclass(frozen=True)
class AdaptSettings:
    """How a method updates the query encoder (DESIGN: the protocol of TCR, ICLR 2025).

    Attributes:
        learning_rate: of AdamW.
        rate_batch: the batch size that the learning rate is meant for; smaller batches take
            proportionally smaller steps. 0 takes the rate as it is.
        weight_decay: of AdamW, decoupled, on every adapted parameter.
        steps: updates for each batch; 0 never updates.
        parameters: which parameters of the query encoder move: "layer_norms" (scales and biases of
            all), "block_layer_norms" (not those outside the blocks), "all" (every parameter).
        score: which embeddings are ranked: "last_forward" (of the last step's forward pass, after
            steps - 1 updates on this batch), "before" (no update on this batch yet), "after" (one
            more forward pass after the last update).
        batch_size: largest number of queries in a batch.
        devices: how many share a batch; 0 for all of this machine.
        seed: of whatever a method draws at random.
    """

    learning_rate: float = LEARNING_RATE
    rate_batch: int = 0
    weight_decay: float = 1e-4
    steps: int = 3
    parameters: str = "layer_norms"
    score: str = "last_forward"
    batch_size: int = 64
    devices: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            UserError: a value that is not allowed; the message names it.
        """
        check_positive(learning_rate=self.learning_rate)
        check_weights(weight_decay=self.weight_decay)
        check_whole(
            0,
            steps=self.steps,
            rate_batch=self.rate_batch,
            devices=self.devices,
            seed=self.seed,
        )
        check_whole(1, batch_size=self.batch_size)
        one_of(PARAMETERS)("parameters", self.parameters)
        one_of(SCORES)("score", self.score)


SHARED = tuple(field.name for field in fields(AdaptSettings))
"""Names of the settings above."""


def check_positive(**values: Any) -> None:
    """Refuses what is not a finite number above 0."""
    for name, value in values.items():
        number(0, _LARGEST, above=True)(name, value)


def check_weights(**values: Any) -> None:
    """Refuses what is not a finite number from 0."""
    for name, value in values.items():
        number(0, _LARGEST)(name, value)


def check_share(**values: Any) -> None:
    """Refuses what is not a number in 0..1."""
    for name, value in values.items():
        number(0, 1)(name, value)


def check_whole(low: int, **values: Any) -> None:
    """Refuses what is not a whole number from `low`."""
    for name, value in values.items():
        integer(low)(name, value)
