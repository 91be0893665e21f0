"""What adapts, how the parts of queries are shuffled, and that frozen matrices cost no gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from reex_jax.adaptation.encoder import (
    Constants,
    query_encoder,
    uncut,
)
from reex_jax.adaptation.make_method import make_method
from reex_jax.adaptation.replicas import replicate
from reex_jax.adaptation.shuffle import shuffle_between, shuffle_patches
from reex_jax.adaptation.state import initial_state
from reex_jax.adaptation.update import compile_update
from reex_jax.errors import UserError
from reex_jax.settings.choices import PARAMETERS
from reex_jax.settings.ranking import Ranking

BLOCK_NORMS = {
    ("blocks", norm, part) for norm in ("attention_norm", "mlp_norm") for part in ("scale", "bias")
}
OUTER_NORMS = {"image": ("pre_norm", "post_norm"), "text": ("final_norm",)}


def constants_of(encoder, gallery):
    rest = jnp.asarray(gallery), jnp.float32(0.01), jnp.float32(1e-3)
    return Constants(encoder.frozen, encoder.parameters, *rest)


def paths(encoder):
    return {path for path, _ in nnx.to_flat_state(encoder.parameters)}


@pytest.mark.parametrize("query", ["image", "text"])
def test_filters_choose_exactly_the_layer_norms(tiny, query):
    outer = {(norm, part) for norm in OUTER_NORMS[query] for part in ("scale", "bias")}
    assert paths(query_encoder(tiny, query, "block_layer_norms")) == BLOCK_NORMS
    assert paths(query_encoder(tiny, query, "layer_norms")) == BLOCK_NORMS | outer
    everything = query_encoder(tiny, query, "all")
    assert not jax.tree.leaves(everything.frozen)
    tower = tiny.model.vision if query == "image" else tiny.model.text
    assert paths(everything) == {path for path, _ in nnx.to_flat_state(nnx.state(tower))}


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_the_split_tower_embeds_as_the_whole_one(tiny, golden, parameters):
    tokens = golden["tokens"][:4].astype(np.int32)
    encoder = query_encoder(tiny, "text", parameters)
    found = encoder.embed(
        encoder.parameters, constants_of(encoder, golden["image_embeds"]), jnp.asarray(tokens)
    )
    np.testing.assert_allclose(found, tiny.encode_tokens(tokens), atol=1e-6)


@pytest.mark.parametrize("last_layers", [0, 1])
def test_the_last_block_is_cut_off_and_put_back(tiny, last_layers):
    """What a saved adapter knows its model by must not depend on where the tower is cut."""
    encoder = query_encoder(tiny, "text", "layer_norms", last_layers)
    early, rest = map(nnx.to_flat_state, uncut(encoder.frozen))
    whole = dict(nnx.to_flat_state(nnx.state(tiny.model.text)))
    first = {path: len(variable[...]) for path, variable in early}
    for path, variable in rest:
        np.testing.assert_array_equal(variable[...], whole[path][...][first.get(path, 0) :])
    moving = paths(encoder)
    assert {path for path, _ in rest} == whole.keys() - moving


INPUTS = {
    "image": lambda golden: golden["images"].transpose(0, 2, 3, 1)[:3],
    "text": lambda golden: golden["tokens"][:3].astype(np.int32),
}


def gradients(encoder, inputs):
    """Of a sum over the embeddings with weights drawn once, by flat path."""
    constants = constants_of(encoder, np.eye(4, encoder_dim(encoder, inputs), dtype=np.float32))
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(3, constants.gallery.shape[1])))
    stream = encoder.front(constants, inputs)

    def value(parameters):
        return (encoder.back(parameters, constants, stream) * weights.astype(jnp.float32)).sum()

    found = jax.jit(jax.grad(value))(encoder.parameters)
    return {path: np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(found)}


def encoder_dim(encoder, inputs):
    constants = constants_of(encoder, np.zeros((1, 1), np.float32))
    return jax.eval_shape(encoder.embed, encoder.parameters, constants, inputs).shape[1]


@pytest.mark.parametrize("query", ["image", "text"])
@pytest.mark.parametrize("parameters", PARAMETERS)
def test_the_last_layers_have_the_gradients_of_the_whole_tower(tiny, golden, query, parameters):
    """What comes before them gets none and embeds as ever."""
    inputs = jnp.asarray(INPUTS[query](golden))
    tower = tiny.query_tower(query)
    whole = gradients(query_encoder(tiny, query, parameters), inputs)
    last = query_encoder(tiny, query, parameters, 1)
    found = gradients(last, inputs)
    before = {path for path in whole if tower.before_blocks(path)}
    assert set(found) == set(whole) - before
    for path, gradient in found.items():
        wanted = whole[path][-1:] if tower.in_blocks(path) else whole[path]
        assert gradient.shape == wanted.shape
        np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-5, err_msg=str(path))
    embeddings = last.embed(last.parameters, constants_of(last, np.eye(2)), inputs)
    encode = tiny.encode_pixels if query == "image" else tiny.encode_tokens
    np.testing.assert_allclose(embeddings, encode(np.asarray(inputs)), atol=1e-6)
    everything = query_encoder(tiny, query, parameters, tower.layers)
    assert paths(everything) == set(whole), "all layers are all layers"


@pytest.mark.parametrize("query", ["image", "text"])
def test_what_is_computed_again_is_the_same(tiny, golden, query):
    inputs = jnp.asarray(INPUTS[query](golden))
    keeps = gradients(query_encoder(tiny, query, "layer_norms", remat="none"), inputs)
    again = gradients(query_encoder(tiny, query, "layer_norms", remat="dots"), inputs)
    for path, gradient in keeps.items():
        np.testing.assert_allclose(again[path], gradient, rtol=1e-5, atol=1e-6)


def test_unknown_names_are_refused(tiny):
    layers = tiny.query_tower("text").layers
    with pytest.raises(UserError, match=f"last_layers is 9, but the text tower has {layers} block"):
        query_encoder(tiny, "text", "all", 9)
    with pytest.raises(UserError, match="unknown value of query: 'texts'; did you mean 'text'"):
        query_encoder(tiny, "texts", "all")
    with pytest.raises(UserError, match="unknown value of parameters: 'layer_norm'; did you mean"):
        query_encoder(tiny, "text", "layer_norm")


@pytest.mark.parametrize("height, width", [(24, 24), (26, 31), (4, 4)])
def test_patches_change_places_whole(height, width):
    pixels = np.arange(height * width * 2, dtype=np.float32).reshape(height, width, 2)
    moved = np.asarray(shuffle_patches(jnp.asarray(pixels), jax.random.key(3)))
    h, w = height // 4, width // 4
    squares = [
        (slice(r * h, (r + 1) * h), slice(c * w, (c + 1) * w)) for r in range(4) for c in range(4)
    ]
    there = sorted(pixels[at].tobytes() for at in squares)
    assert sorted(moved[at].tobytes() for at in squares) == there
    assert sum(moved[at].tobytes() != pixels[at].tobytes() for at in squares) > 8
    np.testing.assert_array_equal(moved[4 * h :], pixels[4 * h :])
    np.testing.assert_array_equal(moved[:, 4 * w :], pixels[:, 4 * w :])


def test_each_image_has_its_own_order(tiny, golden):
    encoder = query_encoder(tiny, "image", "layer_norms")
    same = np.repeat(golden["images"].transpose(0, 2, 3, 1)[:1], 3, axis=0)
    keys = jax.random.split(jax.random.key(0), 3)
    moved = np.asarray(encoder.shuffle(jnp.asarray(same), keys))
    assert len({image.tobytes() for image in moved}) == 3
    np.testing.assert_array_equal(encoder.shuffle(jnp.asarray(same), keys), moved)


between = jax.jit(shuffle_between)
FIRST = jnp.int32(1)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 9), st.sampled_from([10, 16]), st.integers(0, 10**6))
def test_tokens_between_start_and_end_change_places(end, length, seed):
    ids = np.array([254, *range(1, end), 255] + [0] * (length - end - 1), np.int32)
    moved = np.asarray(between(ids, FIRST, end, jax.random.key(seed)))
    assert moved[0] == 254 and moved[end] == 255 and not moved[end + 1 :].any()
    assert sorted(moved[1:end]) == list(range(1, end))
    other = np.pad(ids[: end + 1], (0, 16 - end - 1), constant_values=255)
    padded = between(other, FIRST, end, jax.random.key(seed))
    np.testing.assert_array_equal(padded[: end + 1], moved[: end + 1])
    np.testing.assert_array_equal(padded[end + 1 :], 255)


def test_every_order_of_tokens_comes_as_often():
    ids = jnp.array([254, 1, 2, 3, 255, 0])
    keys = jax.random.split(jax.random.key(0), 1200)
    moved = np.asarray(jax.vmap(lambda key: shuffle_between(ids, FIRST, jnp.int32(4), key))(keys))
    orders, counts = np.unique(moved[:, 1:4], axis=0, return_counts=True)
    assert len(orders) == 6
    # Binomial(1200, 1/6): 200 with a deviation of 12.9; 5 deviations.
    assert abs(counts - 200).max() < 65


def test_texts_shuffle_between_their_own_start_and_end(tiny, golden):
    encoder = query_encoder(tiny, "text", "layer_norms")
    ids = golden["tokens"][:6].astype(np.int32)
    keys = jax.random.split(jax.random.key(1), 6)
    moved = np.asarray(encoder.shuffle(jnp.asarray(ids), keys))
    for was, now in zip(ids, moved, strict=True):
        end = list(was).index(255)
        assert now[0] == was[0] and sorted(now[1:end]) == sorted(was[1:end])
        np.testing.assert_array_equal(now[end:], was[end:])
    assert (moved != ids).any()


def flops(clip, gallery, inputs, parameters, query="text", last_layers=0):
    """Of the compiled step for one update on one device; XLA counts a loop's body once."""
    objective, _, shared = make_method(
        "tent", {"steps": 1, "parameters": parameters, "batch_size": 16}
    )
    encoder = query_encoder(clip, query, parameters, last_layers)
    constants = constants_of(encoder, gallery)
    devices = jax.devices()[:1]
    arguments = replicate(
        (
            constants,
            initial_state(objective, shared, constants, Ranking()),
            inputs,
            np.ones(16, bool),
        ),
        devices,
    )
    step = (
        compile_update(objective, encoder, shared, Ranking(), devices).lower(*arguments).compile()
    )
    return step.cost_analysis()["flops"]


def test_frozen_matrices_cost_no_gradient(tiny, golden):
    """A gradient of a [w, m] matrix from T tokens is a product of 2 T w m operations.

    A layer has 12 w^2 weights in its matrices (4 of attention, twice 4 of the MLP), so adapting
    all must cost at least 24 T w^2 operations more than adapting LayerNorms, if the latter
    computes none of them. What else "all" pays for (biases, embeddings, AdamW) is on top.
    """
    inputs = golden["tokens"][:16].astype(np.int32)
    gallery = jnp.asarray(golden["image_embeds"])
    norms, everything = (
        flops(tiny, gallery, inputs, parameters) for parameters in ("layer_norms", "all")
    )
    tokens, width = inputs.size, tiny.config.text.hidden_size
    assert everything - norms >= 24 * tokens * width**2
    # The other way round: forward and input gradients are 4 T w m, the source model's forward pass
    # 2 T w m, and attention and the small operations add less than half of that again.
    assert norms <= 1.5 * 3 * 24 * tokens * width**2
