"""From what a caller gives as queries to the inputs of the encoder, checked."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from reex_jax.adaptation.encoder import Inputs
from reex_jax.adaptation.fused import FusedTexts
from reex_jax.errors import UserError
from reex_jax.gsr.features import FusionFeatures
from reex_jax.models.crops import is_crops
from reex_jax.models.two_tower import TwoTower


@dataclass(frozen=True)
class RepairedQueries:
    """Text queries with their repairs, as an `Adapter` with `fusion` takes them.

    Attributes:
        texts: B queries as they arrived.
        repairs: of each; the query itself where there is none.
        features: four arrays [B] in [0, 1], from `gsr.features.features_of`.
    """

    texts: Sequence[str]
    repairs: Sequence[str]
    features: FusionFeatures


def plain_inputs(model: TwoTower, query: str) -> Callable[[Any], Inputs]:
    """What turns queries without repairs into the inputs of "image" or "text" queries.

    The function raises UserError for what is no query of that sort.
    """

    def images(queries: Any) -> Inputs:
        if is_crops(queries):
            return model.check_crops(queries)
        if _is_array(queries):
            return model.check_pixels(queries)
        return model.pixels_of(_some(queries))

    def texts(queries: Any) -> Inputs:
        if isinstance(queries, RepairedQueries | FusedTexts):
            raise UserError(
                f"queries are {type(queries).__name__}, but this adapter has no fusion; make it "
                "with fusion='dynamic', or give the texts alone"
            )
        if _is_array(queries):
            return model.check_ids(queries)
        return model.tokens_of(_some(queries))

    return images if query == "image" else texts


def repaired_inputs(model: TwoTower) -> Callable[[Any], FusedTexts]:
    """What turns `RepairedQueries`, or `FusedTexts` made elsewhere, into `FusedTexts`.

    The function raises UserError for anything else, texts and repairs and features that are not
    equally many, and features that are not numbers in 0..1.
    """
    texts = plain_inputs(model, "text")

    def repaired(queries: Any) -> FusedTexts:
        if isinstance(queries, RepairedQueries):
            both = texts(queries.texts), texts(queries.repairs)
        elif isinstance(queries, FusedTexts):
            both = texts(queries.ids), texts(queries.repair_ids)
        else:
            raise UserError(
                "this adapter fuses queries with their repairs; give RepairedQueries(texts, "
                f"repairs, features), not one {type(queries).__name__}"
            )
        if len(both[0]) != len(both[1]):
            raise UserError(
                f"a batch of {len(both[0])} queries with {len(both[1])} repairs; give one for "
                "each, the query itself where there is none"
            )
        return FusedTexts(*both, _checked(queries.features, len(both[0])))

    return repaired


def _checked(features: Any, count: int) -> FusionFeatures:
    if not isinstance(features, FusionFeatures):
        raise UserError(
            f"features must be FusionFeatures, as features_of makes them, not {features!r:.60}"
        )
    arrays = []
    for name, value in features._asdict().items():
        array = np.asarray(jax.device_get(value))
        if array.shape != (count,) or array.dtype.kind not in "fiu":
            raise UserError(
                f"feature {name} is {array.dtype} of shape {list(array.shape)}, but must be "
                f"float32 [{count}], a number for each query"
            )
        bad = np.flatnonzero(~((array >= 0) & (array <= 1)))
        if bad.size:
            raise UserError(
                f"feature {name} of query {bad[0]} is {array[bad[0]]}; it must lie in 0..1"
            )
        arrays.append(array.astype(np.float32))
    return FusionFeatures(*arrays)


def _is_array(queries: Any) -> bool:
    return isinstance(queries, np.ndarray | jax.Array)


def _some(queries: Any) -> Any:
    """The queries, where there are any; a single string passes, for the model to refuse."""
    if not isinstance(queries, Iterable):
        raise UserError(
            f"queries must be a list or an array, not one {type(queries).__name__}; write [query]"
        )
    if isinstance(queries, Iterator):
        queries = list(queries)
    if isinstance(queries, Sized) and not isinstance(queries, str) and not len(queries):
        raise UserError("a batch of 0 queries; give at least one")
    return queries
