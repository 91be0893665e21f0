"""Where each weight of a Hugging Face Llama checkpoint lives in `LlamaModel`: one table."""

from reex_jax.models.llama.config import LlamaConfig
from reex_jax.models.weights import LINEAR, Weight, stacked

_HEAD = "lm_head.weight"


def is_ignored(name: str, *, tied: bool) -> bool:
    """Whether a tensor adds nothing: rotary frequencies of old files, a copy of the table."""
    return name.endswith(".rotary_emb.inv_freq") or (tied and name == _HEAD)


def llama_table(config: LlamaConfig) -> list[Weight]:
    """Every parameter of the model, with its place in the checkpoint."""
    width, words = config.hidden_size, (config.vocab_size, config.hidden_size)
    table = [
        Weight(("token_embedding",), "model.embed_tokens.weight", words),
        *stacked(_block(config), config.num_hidden_layers),
        Weight(("last_norm", "scale"), "model.norm.weight", (width,)),
    ]
    if not config.tie_word_embeddings:
        table.append(Weight(("head",), _HEAD, words))
    return table


def _block(config: LlamaConfig) -> list[Weight]:
    width, inner, layer = config.hidden_size, config.intermediate_size, "model.layers.{layer}"
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    kernels = {
        "query": ("self_attn.q_proj", (queries, width)),
        "key": ("self_attn.k_proj", (keys, width)),
        "value": ("self_attn.v_proj", (keys, width)),
        "attention_out": ("self_attn.o_proj", (width, queries)),
        "mlp_gate": ("mlp.gate_proj", (inner, width)),
        "mlp_in": ("mlp.up_proj", (inner, width)),
        "mlp_out": ("mlp.down_proj", (width, inner)),
    }
    scales = {"attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm"}
    return [
        *(
            Weight(("blocks", part, "kernel"), f"{layer}.{name}.weight", shape, LINEAR)
            for part, (name, shape) in kernels.items()
        ),
        *(
            Weight(("blocks", part, "scale"), f"{layer}.{name}.weight", (width,))
            for part, name in scales.items()
        ),
    ]
