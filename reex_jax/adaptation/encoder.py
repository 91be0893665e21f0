"""The query encoder as a pure function of its adapted parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from reex_jax.adaptation.defaults import QUERIES
from reex_jax.adaptation.masked import per_row_keys
from reex_jax.adaptation.objective import Parameters
from reex_jax.errors import unknown
from reex_jax.models.clip.model import ClipModel, TextTower, VisionTower, end_positions

GRID = 4  # patches a side that `shuffle_patches` moves; DeYO's patch_len

# A pytree of arrays with the query as first axis: pixels, token ids, or `fused.FusedTexts`.
Inputs = Any
Path = tuple[Any, ...]


class Constants(NamedTuple):
    """What a step reads and never changes.

    Attributes:
        frozen: the parameters of the tower that do not adapt.
        source: the source model's values of those that do.
        gallery: [N, d] float32 unit.
        temperature: scalar float32, the model's own.
        learning_rate: scalar float32. Not compiled in: another rate needs no new program.
    """

    frozen: Any
    source: Parameters
    gallery: jax.Array
    temperature: jax.Array
    learning_rate: jax.Array


@dataclass(frozen=True)
class QueryEncoder:
    """One tower of CLIP, split into what adapts and what does not.

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


def layer_norms(path: Path, _: Any) -> bool:
    """nnx filter: scales and biases of every LayerNorm of a tower."""
    return any("norm" in str(part) for part in path)


def block_layer_norms(path: Path, _: Any) -> bool:
    """nnx filter: the LayerNorms inside the blocks only."""
    return "blocks" in path and layer_norms(path, _)


FILTERS: dict[str, Any] = {
    "layer_norms": layer_norms,
    "block_layer_norms": block_layer_norms,
    "all": nnx.Param,
}


def query_encoder(model: ClipModel, query: str, parameters: str) -> QueryEncoder:
    """Splits a model's tower for adaptation; the model itself is not changed later on.

    Args:
        model: the source model.
        query: "image" or "text".
        parameters: a name in FILTERS: what adapts.

    Raises:
        UserError: an unknown name.
    """
    if query not in QUERIES:
        raise unknown("value of query:", query, QUERIES)
    if parameters not in FILTERS:
        raise unknown("value of parameters:", parameters, FILTERS)
    tower: VisionTower | TextTower = model.vision if query == "image" else model.text
    structure, adapted, *rest = nnx.split(tower, FILTERS[parameters], ...)
    (frozen,) = rest

    def embed(parameters: Parameters, constants: Constants, inputs: Inputs) -> jax.Array:
        return nnx.merge(structure, parameters, constants.frozen)(inputs)

    def shuffle_tokens(ids: jax.Array, keys: jax.Array) -> jax.Array:
        ends = end_positions(ids, model.config.text.eos_token_id)
        return jax.vmap(shuffle_between)(ids, ends, keys)

    shuffle = {"image": jax.vmap(shuffle_patches), "text": shuffle_tokens}[query]
    return QueryEncoder(embed, shuffle, adapted, frozen)


def shuffle_patches(pixels: jax.Array, key: jax.Array) -> jax.Array:
    """Moves the squares of a 4 x 4 grid to random places: [h, w, c] -> [h, w, c].

    Pixels beyond the largest multiple of 4 stay where they are.
    """
    height, width, channels = pixels.shape
    h, w = height // GRID, width // GRID
    whole = pixels[: h * GRID, : w * GRID]
    squares = whole.reshape(GRID, h, GRID, w, channels).swapaxes(1, 2)
    squares = squares.reshape(GRID * GRID, h, w, channels)
    moved = jax.random.permutation(key, squares, axis=0).reshape(GRID, GRID, h, w, channels)
    moved = moved.swapaxes(1, 2).reshape(h * GRID, w * GRID, channels)
    return pixels.at[: h * GRID, : w * GRID].set(moved)


def shuffle_between(ids: jax.Array, end: jax.Array, key: jax.Array) -> jax.Array:
    """Shuffles the tokens between the start token and the end token: [length] -> [length].

    The result does not depend on the padding behind the end token.
    """
    at = jnp.arange(ids.shape[0])
    inside = (at > 0) & (at < end)
    draws = jax.vmap(jax.random.uniform)(per_row_keys(key, ids.shape[0]))
    order = jnp.argsort(jnp.where(inside, draws, jnp.where(at == 0, -1.0, 2.0 + at)))
    return ids[order]
