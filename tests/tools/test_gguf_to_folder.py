"""From a GGUF file's keys to Hugging Face's layout."""

import json

import numpy as np
import pytest
import tokenizers

from reex_jax.models.llama.config import LlamaConfig
from tools.gguf_to_folder import config_of, in_halves, name_of, tokenizer_of

FIELDS = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.context_length": 64,
    "llama.embedding_length": 16,
    "llama.feed_forward_length": 24,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.attention.layer_norm_rms_epsilon": 9.999999747378752e-06,
    "llama.rope.freq_base": 500.0,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": ["<end>", "a", "b", "\u0120", "\u0120a", "1", "2", "12"],
    "tokenizer.ggml.token_type": [3, 1, 1, 1, 1, 1, 1, 1],
    "tokenizer.ggml.merges": ["\u0120 a", "1 2"],
}


def test_the_configuration_is_read_here():
    config = LlamaConfig.from_dict(config_of(FIELDS, tied=True))
    assert (config.vocab_size, config.head_dim, config.rms_norm_eps) == (8, 4, 1e-5)
    assert (config.num_key_value_heads, config.rope_theta) == (2, 500)
    for changed, message in (
        ({"general.architecture": "qwen2"}, "general.architecture is 'qwen2'"),
        ({"llama.rope.scaling.type": "yarn"}, "scaled rotary positions"),
    ):
        with pytest.raises(SystemExit, match=message):
            config_of(FIELDS | changed, tied=True)


def test_the_tokenizer_splits_digits_and_knows_special_tokens():
    engine = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_of(FIELDS)))
    assert engine.encode("b a12<end>").ids == [2, 4, 5, 6, 0]
    assert engine.decode([2, 4, 5]) == "b a1"
    with pytest.raises(SystemExit, match="the tokenizer is 'gpt2' with splits 'llama-bpe'"):
        tokenizer_of(FIELDS | {"tokenizer.ggml.pre": "llama-bpe"})


def test_names_and_order_of_heads():
    assert name_of("blk.11.ffn_up.weight") == "model.layers.11.mlp.up_proj.weight"
    assert name_of("token_embd.weight") == "model.embed_tokens.weight"
    with pytest.raises(SystemExit, match=r"tensor blk\.0\.attn_q\.bias has no place"):
        name_of("blk.0.attn_q.bias")
    # Two heads of three pairs: neighbours there, half a head apart here.
    rows = np.array([0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11])
    assert in_halves(rows[:, None], 2)[:, 0].tolist() == list(range(12))
