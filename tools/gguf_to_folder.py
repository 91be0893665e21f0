"""Writes a Llama-like model of a GGUF file as a folder in Hugging Face's layout.

    .venv-gsr-demo/bin/python tools/gguf_to_folder.py MODEL.gguf FOLDER

Quantised weights become float32. The tokenizer must be a byte-level one whose way of splitting
words is known here (SmolLM's, GPT-2's). Needs gguf, numpy and safetensors, and nothing else of this
project.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

_DIGITS = {"type": "Digits", "individual_digits": True}
_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
SPLITS: Mapping[str, list[dict[str, Any]]] = {"smollm": [_DIGITS, _BYTES], "gpt-2": [_BYTES]}
"""What llama.cpp calls a way of splitting text (tokenizer.ggml.pre) -> tokenizers' name for it."""

_CONTROL, _USER_DEFINED = 3, 4  # of tokenizer.ggml.token_type
_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OUTSIDE = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}


def config_of(fields: Mapping[str, Any], tied: bool) -> dict[str, Any]:
    """config.json from the file's keys; exits where the model is none that the folder can hold."""
    kind = fields.get("general.architecture")
    if kind != "llama":
        sys.exit(f"general.architecture is {kind!r}, but only 'llama' can be written")
    if "llama.rope.scaling.type" in fields or "llama.expert_count" in fields:
        sys.exit("scaled rotary positions and experts cannot be written; take another model")
    heads = fields["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": fields.get("llama.attention.head_count_kv", heads),
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": round(fields["llama.attention.layer_norm_rms_epsilon"], 12),
        "rope_theta": fields.get("llama.rope.freq_base", 10000.0),
        "hidden_act": "silu",
        "tie_word_embeddings": tied,
        "bos_token_id": fields.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": fields.get("tokenizer.ggml.eos_token_id"),
        "dtype": "float32",
    }


def tokenizer_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """tokenizer.json from the file's keys; exits where its way of splitting is not known here."""
    model, split = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre", "")
    if model != "gpt2" or split not in SPLITS:
        sys.exit(
            f"the tokenizer is {model!r} with splits {split!r}; known are 'gpt2' with "
            f"{', '.join(SPLITS)}: take tokenizer.json from the model's page"
        )
    tokens = fields["tokenizer.ggml.tokens"]
    added = [
        {
            "id": at,
            "content": tokens[at],
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": kind == _CONTROL,
        }
        for at, kind in enumerate(fields["tokenizer.ggml.token_type"])
        if kind in (_CONTROL, _USER_DEFINED)
    ]
    return {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": SPLITS[split]},
        "decoder": _BYTES,
        "model": {
            "type": "BPE",
            "vocab": {token: at for at, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in fields["tokenizer.ggml.merges"]],
        },
    }


def name_of(name: str) -> str:
    """Hugging Face's name of a tensor; exits where it has none."""
    stem = name.removesuffix(".weight")
    if stem in _OUTSIDE:
        return f"{_OUTSIDE[stem]}.weight"
    block, _, part = stem.removeprefix("blk.").partition(".")
    if not block.isdecimal() or part not in _LAYER:
        sys.exit(f"tensor {name} has no place in a Llama model of Hugging Face's layout")
    return f"model.layers.{block}.{_LAYER[part]}.weight"


def in_halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries or keys, [heads · 2 h, in], from llama.cpp's order to Hugging Face's.

    Rotary positions turn neighbours (2 i, 2 i + 1) of a head there, and i and i + h here.
    """
    rows, inputs = weight.shape
    paired = weight.reshape(heads, rows // heads // 2, 2, inputs)
    return np.ascontiguousarray(paired.swapaxes(1, 2)).reshape(rows, inputs)


def convert(file: Path, folder: Path) -> None:
    """Writes config.json, tokenizer.json, tokenizer_config.json and model.safetensors."""
    from gguf import GGUFReader
    from gguf.quants import dequantize

    reader = GGUFReader(file)
    fields = {key: field.contents() for key, field in reader.fields.items()}
    tied = all(tensor.name != "output.weight" for tensor in reader.tensors)
    config, tokenizer = config_of(fields, tied), tokenizer_of(fields)
    heads = {
        "q_proj": config["num_attention_heads"],
        "k_proj": config["num_key_value_heads"],
    }
    tensors = {}
    for tensor in reader.tensors:
        name = name_of(tensor.name)
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        count = heads.get(name.split(".")[-2])
        tensors[name] = in_halves(values, count) if count else np.ascontiguousarray(values)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    texts = {
        "config.json": config,
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"},
    }
    for name, content in texts.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def main() -> None:
    """Converts the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="the GGUF file")
    parser.add_argument("folder", type=Path, help="the folder to write")
    given = parser.parse_args()
    convert(given.file, given.folder)


if __name__ == "__main__":
    main()
