"""What is asked and what is answered, inside of the service."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from reex_jax.gsr.features import FusionFeatures
from reex_jax.gsr.repair import Repair


class Searched(Protocol):
    """What is searched: an index, as the service reads it."""

    @property
    def ids(self) -> Sequence[str]:
        """Of the items, by position."""

    @property
    def captions(self) -> Sequence[str] | None:
        """Of the items; None where none has one."""

    @property
    def embeddings(self) -> np.ndarray:
        """[N, d] float16 or float32 unit rows."""

    @property
    def modality(self) -> str:
        """What the items are: "image" or "text"."""

    def thumbnail(self, position: int) -> bytes | None:
        """A small picture of an item; None if there is none."""

    def __len__(self) -> int: ...


class Lane(NamedTuple):
    """What learns for itself: one kind of queries under one method.

    Attributes:
        query: "image" or "text".
        method: a name in METHODS.
    """

    query: str
    method: str


class RepairedText(NamedTuple):
    """A text query, repaired.

    Attributes:
        repair: the text, its repair, and how sure the rewriter is.
        features: (oov, lost, edit, generation), see `FusionFeatures`.
    """

    repair: Repair
    features: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Ask:
    """One search, ready for the model.

    Attributes:
        lane: who answers, and learns.
        inputs: pixels [h, w, c] float32, or token ids [length] int32 without padding.
        k: how many results.
        calibration: whether the answer's ranking takes hubs back.
        compare: whether the source model's own ranking is wanted too.
        learn: whether the service may learn from it.
        repaired: of a text query with repair.
        repair_inputs: token ids of the repair; None where it changes nothing.
    """

    lane: Lane
    inputs: np.ndarray
    k: int
    calibration: bool = True
    compare: bool = False
    learn: bool = True
    repaired: RepairedText | None = None
    repair_inputs: np.ndarray | None = None

    @property
    def taken(self) -> np.ndarray:
        """What stands for the repair: the query itself where nothing is repaired."""
        return self.inputs if self.repair_inputs is None else self.repair_inputs

    @property
    def features(self) -> tuple[float, float, float, float]:
        """For fusion; without a repair those of a query whose repair is itself."""
        return (0.0, 0.0, 0.0, 1.0) if self.repaired is None else self.repaired.features

    def as_source(self) -> "Ask":
        """The same query as the source model alone ranks it."""
        return replace(self, calibration=False, repaired=None, repair_inputs=None)


def features_of_asks(asks: Sequence[Ask]) -> FusionFeatures:
    """Arrays [n] float32."""
    rows = np.asarray([ask.features for ask in asks], np.float32)
    return FusionFeatures(*rows.reshape(-1, 4).T)


class Ranked(NamedTuple):
    """One ranking: positions [k] int32, best first, and their cosines [k] float32."""

    positions: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True, eq=False)
class Answer:
    """What a search found.

    Attributes:
        ranked: the ranking; shorter than k where a back end named fewer.
        before: the source model's own, if it was wanted.
        entropy: of the scores' softmax over the N items that it was ranked among, divided by
            log N: 0 is certain, 1 knows nothing.
        confident: whether that is among the lowest of recent queries.
        weight: of the repair, in [0, 1]; None without repair.
        learned: batches that the model had learned from.
        timings: stage -> milliseconds.
    """

    ranked: Ranked
    before: Ranked | None
    entropy: float
    confident: bool
    weight: float | None
    learned: int
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class View:
    """What answers take from a lane's adapter; it is never changed, only replaced.

    Attributes:
        parameters: the adapted ones, a pytree like the encoder's.
        correction: [N] float32, what ranking takes from each item's cosines; None: nothing.
        batches: that were learned from.
        restored: how often a ruined model was put back to the source.
    """

    parameters: Any
    correction: np.ndarray | None
    batches: int = 0
    restored: int = 0
