"""The query encoder as a pure function of its adapted parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from reex_jax.adaptation.objective import Parameters
from reex_jax.adaptation.shuffle import shuffle_between, shuffle_patches
from reex_jax.errors import unknown
from reex_jax.models.two_tower import TwoTower
from reex_jax.settings.checks import one_of
from reex_jax.settings.choices import PARAMETERS, QUERIES

# A pytree of arrays with the query as first axis: pixels, token ids, or `fused.FusedTexts`.
Inputs = Any


class Constants(NamedTuple):
    """What a step reads and never changes.

    Attributes:
        frozen: the parameters of the tower that do not adapt.
        source: the source model's values of those that do.
        gallery: unit rows on the device, see `retrieval.part`.
        temperature: the model's own.
        learning_rate: not compiled in: another rate needs no new program.
        items: how many of the gallery's places are in use; None: all.
    """

    frozen: Any
    source: Parameters
    gallery: Any
    temperature: Float[Array, ""]
    learning_rate: Float[Array, ""]
    items: Int[Array, ""] | None = None


@dataclass(frozen=True)
class QueryEncoder:
    """One tower of a model, split into what adapts and what does not.

    Attributes:
        embed: (parameters, constants, inputs) -> [B, d] float32 unit.
        shuffle: (inputs, keys [B]) -> inputs with the parts of each query in random order.
        parameters: the adapted parameters of the source model.
        frozen: everything else of the tower, a pytree of arrays.
    """

    embed: Callable[[Parameters, Constants, Inputs], jax.Array]
    shuffle: Callable[[Inputs, jax.Array], Inputs]
    parameters: Parameters
    frozen: Any


def query_encoder(model: TwoTower, query: str, parameters: str) -> QueryEncoder:
    """Splits a model's tower for adaptation; the model itself is not changed later on.

    Args:
        model: the source model.
        query: "image" or "text".
        parameters: what adapts: "layer_norms" are scales and biases of all LayerNorms,
            "block_layer_norms" not those outside the blocks, "all" is every parameter.

    Raises:
        UserError: an unknown name.
    """
    if query not in QUERIES:
        raise unknown("value of query:", query, QUERIES)
    one_of(PARAMETERS)("parameters", parameters)
    tower = model.query_tower(query)
    filters: dict[str, Any] = {
        "layer_norms": lambda path, _: tower.is_layer_norm(path),
        "block_layer_norms": lambda path, _: tower.is_layer_norm(path) and tower.in_blocks(path),
        "all": nnx.Param,
    }
    structure, adapted, *rest = nnx.split(tower.module, filters[parameters], ...)
    (frozen,) = rest

    def embed(
        parameters: Parameters, constants: Constants, inputs: Inputs
    ) -> Float[Array, "batch dim"]:
        return nnx.merge(structure, parameters, constants.frozen)(inputs)

    def shuffle_tokens(
        ids: Int[Array, "batch length"], keys: Key[Array, " batch"]
    ) -> Int[Array, "batch length"]:
        return jax.vmap(shuffle_between)(ids, *model.spans(ids), keys)

    shuffle = {"image": jax.vmap(shuffle_patches), "text": shuffle_tokens}[query]
    return QueryEncoder(embed, shuffle, adapted, frozen)
