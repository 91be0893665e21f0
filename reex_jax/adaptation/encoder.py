"""The query encoder as a pure function of its adapted parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from reex_jax.adaptation.objective import Parameters
from reex_jax.adaptation.shuffle import shuffle_between, shuffle_patches
from reex_jax.errors import UserError, unknown
from reex_jax.models.crops import is_crops
from reex_jax.models.two_tower import Tower, TwoTower
from reex_jax.settings.checks import one_of
from reex_jax.settings.choices import PARAMETERS, QUERIES

# A pytree of arrays with the query as first axis: pixels (float32, or uint8 and not normalised
# yet), token ids, or `fused.FusedTexts`.
Inputs = Any
# What the front of an encoder makes of them, a pytree with the query as first axis.
Stream = Any


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
        front: (constants, inputs) -> a stream, the part that no adapted parameter precedes.
        back: (parameters, constants, stream) -> [B, d] float32 unit; what follows.
        shuffle: (inputs, keys [B]) -> inputs with the parts of each query in random order.
        parameters: the adapted parameters of the source model.
        frozen: everything else of the tower, a pytree of arrays, most of them on the host; `uncut`
            has them as in the model.
    """

    front: Callable[[Constants, Inputs], Stream]
    back: Callable[[Parameters, Constants, Stream], jax.Array]
    shuffle: Callable[[Inputs, jax.Array], Inputs]
    parameters: Parameters
    frozen: Any

    def embed(
        self, parameters: Parameters, constants: Constants, inputs: Inputs
    ) -> Float[Array, "batch dim"]:
        """The whole tower."""
        return self.back(parameters, constants, self.front(constants, inputs))


def query_encoder(
    model: TwoTower, query: str, parameters: str, last_layers: int = 0, remat: str = "dots"
) -> QueryEncoder:
    """Splits a model's tower for adaptation; the model itself is not changed later on.

    Args:
        model: the source model.
        query: "image" or "text".
        parameters: what adapts: "layer_norms" are scales and biases of all LayerNorms,
            "block_layer_norms" not those outside the blocks, "all" is every parameter.
        last_layers: only those of the last so many blocks and of what follows; 0 for all.
        remat: what gradients compute again, one of `REMATS`.

    Raises:
        UserError: an unknown name, or more blocks than there are.
    """
    if query not in QUERIES:
        raise unknown("value of query:", query, QUERIES)
    one_of(PARAMETERS)("parameters", parameters)
    tower = model.query_tower(query)
    if last_layers > tower.layers:
        raise UserError(
            f"last_layers is {last_layers}, but the {query} tower has {tower.layers} blocks; "
            "0 takes all"
        )
    split = _split(tower, parameters, last_layers)
    structure, whole = split.structure, last_layers in (0, tower.layers)
    staged = tower.layers > 0 and not (whole and parameters == "all")

    def merged(*states: Any) -> Any:
        """The tower's module; what later states have counts."""
        flat = {path: variable for state in states for path, variable in _flat(state).items()}
        return nnx.merge(structure, nnx.from_flat_state(flat))

    def front(constants: Constants, inputs: Inputs) -> Stream:
        early, rest, _ = constants.frozen
        if query == "image" and is_crops(inputs):
            inputs = model.normalised(inputs)
        if not staged:
            return inputs
        module = merged(constants.source, rest, early)
        stream = module.begin(inputs)
        return stream if whole else module.run(module.enter(stream))

    def back(
        parameters_: Parameters, constants: Constants, stream: Stream
    ) -> Float[Array, "batch dim"]:
        _, rest, final = constants.frozen
        if not tower.layers:
            embeddings: Float[Array, "batch dim"] = merged(parameters_, rest)(stream)
            return embeddings
        body, end = _cut(tower, parameters_)
        module = merged(body, rest)
        if not staged:
            stream = module.begin(stream)
        if whole:
            stream = module.enter(stream)
        stream = module.run(stream, remat)
        # Only one token's way through the last block is of use.
        module = merged(body, rest, end, final)
        return module.finish(module.run(stream, remat, last=True))

    def shuffle_tokens(
        ids: Int[Array, "batch length"], keys: Key[Array, " batch"]
    ) -> Int[Array, "batch length"]:
        return jax.vmap(shuffle_between)(ids, *model.spans(ids), keys)

    shuffle = {"image": jax.vmap(shuffle_patches), "text": shuffle_tokens}[query]
    # On the host, where a part of an array is a view: devices get their copies of the parts alone.
    rest, final = _cut(tower, split.rest, np.asarray)
    return QueryEncoder(front, back, shuffle, split.adapted, (split.early, rest, final))


def uncut(frozen: Any) -> tuple[Any, Any]:
    """`QueryEncoder.frozen` on the host: the blocks that run in front, and everything else."""
    early, rest, final = frozen
    last = _flat(final)
    whole = {
        path: variable.replace(np.concatenate([variable[...], last[path][...]]))
        if path in last
        else variable
        for path, variable in _flat(rest).items()
    }
    return early, nnx.from_flat_state(whole)


class _Split(NamedTuple):
    """The state of a tower in parts; `early` holds the blocks that do not adapt, if any."""

    structure: Any
    adapted: Any
    early: Any
    rest: Any


def _split(tower: Tower, parameters: str, last_layers: int) -> _Split:
    """What adapts, the blocks before the last `last_layers`, and everything else."""
    structure, state = nnx.split(tower.module)
    first = tower.layers - last_layers if last_layers else 0
    adapted: dict[Any, Any] = {}
    early: dict[Any, Any] = {}
    rest: dict[Any, Any] = {}
    for path, variable in _flat(state).items():
        late = variable
        if first and tower.in_blocks(path):
            early[path] = variable.replace(variable[...][:first])
            late = variable.replace(variable[...][first:])
        moves = {
            "layer_norms": tower.is_layer_norm(path),
            "block_layer_norms": tower.is_layer_norm(path) and tower.in_blocks(path),
            "all": True,
        }[parameters] and not (first and tower.before_blocks(path))
        (adapted if moves else rest)[path] = late
    return _Split(structure, *map(nnx.from_flat_state, (adapted, early, rest)))


def _cut(tower: Tower, state: Any, array: Callable[[Any], Any] = jnp.asarray) -> tuple[Any, Any]:
    """A state with all blocks but the last, and the last block's part of it; `array` as they are.

    Frozen matrices are cut once, ahead: cut while it runs, their copies cost more than they spare.
    """
    body, final = {}, {}
    for path, variable in _flat(state).items():
        body[path] = variable
        if tower.in_blocks(path):
            blocks = array(variable[...])
            body[path], final[path] = variable.replace(blocks[:-1]), variable.replace(blocks[-1:])
    return nnx.from_flat_state(body), nnx.from_flat_state(final)


def _flat(state: Any) -> dict[Any, Any]:
    return dict(nnx.to_flat_state(state))
