"""What is read of a Llama checkpoint, and what is refused."""

import json
import re
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from reex_jax.errors import UserError
from reex_jax.models.llama.checkpoint import read_llama, read_tokenizer
from reex_jax.models.llama.config import LlamaConfig, read_llama_config

TINY = Path(__file__).parents[2] / "data" / "llama"
SMOL = {  # of HuggingFaceTB/SmolLM2-135M-Instruct, as it stands there
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "hidden_act": "silu",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "is_llama_config": True,
    "max_position_embeddings": 8192,
    "model_type": "llama",
    "num_attention_heads": 9,
    "num_hidden_layers": 30,
    "num_key_value_heads": 3,
    "rms_norm_eps": 1e-05,
    "rope_interleaved": False,
    "rope_scaling": None,
    "rope_theta": 100000,
    "tie_word_embeddings": True,
    "vocab_size": 49152,
}


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(TINY, tmp_path / "model"))


def test_old_and_new_files_say_the_same():
    config = LlamaConfig.from_dict(SMOL)
    assert (config.head_dim, config.rope_theta, config.tie_word_embeddings) == (64, 100000, True)
    new = {k: v for k, v in SMOL.items() if k not in ("rope_theta", "rope_scaling")}
    new["rope_parameters"] = {"rope_theta": 100000, "rope_type": "default"}
    assert LlamaConfig.from_dict(new) == config
    whole = {k: v for k, v in new.items() if k not in ("rope_parameters", "num_key_value_heads")}
    assert LlamaConfig.from_dict(whole).rope_theta == 10000
    assert LlamaConfig.from_dict(whole).num_key_value_heads == 9


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model_type": "qwen2"}, r"model_type is 'qwen2', but only 'llama' is read here"),
        ({"attention_bias": True}, "attention_bias is True, which is not implemented"),
        ({"mlp_bias": True}, "mlp_bias is True, which is not implemented"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', which is not implemented"),
        ({"quantization_config": {"bits": 4}}, r"quantization_config is {'bits': 4}, which is not"),
        (
            {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
            "rope_scaling is of type 'llama3', which is not implemented",
        ),
        ({"rope_scaling": {"type": "linear"}}, "rope_scaling is of type 'linear'"),
        ({"rope_parameters": 3}, "rope_parameters must be an object, not 3"),
        ({"num_key_value_heads": 2}, "num_attention_heads 9 is not divisible by num_key_value"),
        ({"hidden_size": 577}, "hidden_size 577 is not divisible by num_attention_heads 9"),
        ({"hidden_size": None}, "hidden_size and num_attention_heads must be whole numbers"),
        ({"vocab_size": None}, "vocab_size missing; take the file of the checkpoint anew"),
        ({"head_dim": 7}, "head_dim is 7; rotary positions need an even one"),
        ({"rms_norm_eps": 0}, "rms_norm_eps must be a positive number, not 0"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings must be true or false, not 'yes'"),
        ({"num_hidden_layers": -1}, "num_hidden_layers must be a whole number of at least 1"),
    ],
)
def test_what_is_not_supported_is_named(tmp_path, changed, message):
    (tmp_path / "config.json").write_text(json.dumps(SMOL | changed))
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}/config.json: ") + f".*{message}"):
        read_llama_config(tmp_path)


def test_missing_and_spare_tensors(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = tensors["model.norm.weight"]
    save_file(tensors, folder / "model.safetensors")
    read_llama(folder)  # a buffer of older files
    tensors["model.layers.1.self_attn.q_proj.bias"] = tensors["model.norm.weight"]
    del tensors["model.layers.1.mlp.up_proj.weight"], tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError) as error:
        read_llama(folder)
    assert "model.safetensors: the weights are not those of the model in config" in str(error.value)
    assert "missing: model.layers.1.mlp.up_proj.weight, lm_head.weight; " in str(error.value)
    assert "unexpected: model.layers.1.self_attn.q_proj.bias; " in str(error.value)


def test_tokenizers_are_checked(folder):
    assert read_tokenizer(folder, 288).encode("cat").ids
    with pytest.raises(UserError, match=r"has token 287, but vocab_size of config\.json is 287"):
        read_tokenizer(folder, 287)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json: not found; copy it from the model's"):
        read_tokenizer(folder, 288)
