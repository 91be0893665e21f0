"""The causal language model against a naive one in NumPy that reads one text at a time."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from reex_jax.models.llama.config import LlamaConfig
from reex_jax.models.llama.model import Forest, LlamaModel

CONFIG = LlamaConfig(
    vocab_size=24,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=6,  # not the width shared by the heads
    rope_theta=50.0,
)
# The tree of [3 5 7], [3 5 9 1] and [3 2], then padding, then the text [8 8].
FOREST = {
    "ids": [3, 5, 7, 9, 1, 2, 0, 8, 8],
    "depths": [0, 1, 2, 2, 3, 1, 0, 0, 1],
    "ends": [6, 5, 3, 5, 5, 6, 7, 9, 9],
    "parents": [0, 0, 1, 1, 3, 0, 6, 7, 7],
}
TEXTS = {(0, 1, 2): [3, 5, 7], (0, 1, 3, 4): [3, 5, 9, 1], (0, 5): [3, 2], (7, 8): [8, 8]}


def naive_logs(config, weights, text):
    """Log probability of each token but the first, in float64, head by head and pair by pair."""
    heads, keys, size = config.num_attention_heads, config.num_key_value_heads, config.head_dim

    def norm(x, scale):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + config.rms_norm_eps) * scale

    def turned(x, place):
        out = x.copy()
        for pair in range(size // 2):
            angle = place * config.rope_theta ** (-2 * pair / size)
            a, b = x[pair], x[pair + size // 2]
            out[pair] = a * np.cos(angle) - b * np.sin(angle)
            out[pair + size // 2] = b * np.cos(angle) + a * np.sin(angle)
        return out

    x = weights["token_embedding"][text]
    for layer in range(config.num_hidden_layers):
        part = {name: values[layer] for name, values in weights["blocks"].items()}
        y, mixed = norm(x, part["attention_norm"]), np.zeros((len(text), heads, size))
        for head in range(heads):
            shared = head // (heads // keys)
            q = [turned(y[t] @ part["query"][:, head], t) for t in range(len(text))]
            k = [turned(y[t] @ part["key"][:, shared], t) for t in range(len(text))]
            for t in range(len(text)):
                w = np.exp([q[t] @ k[s] / np.sqrt(size) for s in range(t + 1)])
                mixed[t, head] = (w / w.sum()) @ (y[: t + 1] @ part["value"][:, shared])
        x = x + mixed.reshape(len(text), -1) @ part["attention_out"].reshape(heads * size, -1)
        y = norm(x, part["mlp_norm"])
        gate = y @ part["mlp_gate"]
        x = x + (gate / (1 + np.exp(-gate)) * (y @ part["mlp_in"])) @ part["mlp_out"]
    head = weights.get("head", weights["token_embedding"])
    logits = norm(x, weights["last_norm"]) @ head.T
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return [logs[at, token] for at, token in enumerate(text[1:])]


def weights_of(model):
    """Parameters by name, float64; kernels and scales under the name of their layer."""
    found = {"blocks": {}}
    for path, parameter in nnx.to_flat_state(nnx.state(model)):
        values = np.asarray(parameter[...], np.float64)
        if path[0] == "blocks":
            found["blocks"][path[1]] = values
        else:
            found[path[0]] = values
    return found


def made(config, dtype=jnp.float32):
    model = LlamaModel(config, compute_dtype=dtype, rngs=nnx.Rngs(0))
    structure, state = nnx.split(model)
    rng = np.random.default_rng(0)

    def drawn(path, values):
        if "norm" in jax.tree_util.keystr(path):
            return jnp.asarray(rng.uniform(0.5, 1.5, values.shape), jnp.float32)
        return jnp.asarray(rng.normal(0, 0.4, values.shape), jnp.float32)

    return nnx.merge(structure, jax.tree_util.tree_map_with_path(drawn, state))


def read(model):
    forest = Forest(**{name: jnp.asarray([row], jnp.int32) for name, row in FOREST.items()})
    return np.asarray(nnx.jit(lambda model, forest: model(forest))(model, forest))[0]


@pytest.mark.parametrize("tied", [False, True])
def test_trees_are_read_as_their_texts(tied):
    config = dataclasses.replace(CONFIG, tie_word_embeddings=tied)
    model = made(config)
    assert (model.head is None) == tied
    found, weights = read(model), weights_of(model)
    for places, text in TEXTS.items():
        expected = naive_logs(config, weights, text)
        np.testing.assert_allclose(found[list(places[1:])], expected, rtol=1e-4, atol=1e-4)
    assert (found[[0, 6, 7]] == 0).all()  # nothing comes before them


def test_bfloat16_is_near():
    exact = naive_logs(CONFIG, weights_of(made(CONFIG)), [3, 5, 9, 1])
    found = read(made(CONFIG, jnp.bfloat16))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[[1, 3, 4]], exact, rtol=0.05, atol=0.05)
    assert not functools.reduce(np.array_equal, (found[[1, 3, 4]].astype(np.float64), exact))
