"""Where each weight of a Hugging Face BLIP checkpoint lives in `BlipModel`: one table."""

import re

from reex_jax.models.blip.config import BlipConfig, BlipTextConfig, BlipVisionConfig
from reex_jax.models.weights import PATCHES, Weight, fused, linear, norm, stacked

# Of the matching head (ITM), and buffers that hold 0, 1, 2, ...
_IGNORED = re.compile(
    r"itm_head\.|text_encoder\.encoder\.layer\.\d+\.crossattention\.|.*embeddings\.position_ids$"
)


def is_ignored(name: str) -> bool:
    """Whether a checkpoint's tensor plays no part in contrastive retrieval."""
    return _IGNORED.match(name) is not None


def blip_table(config: BlipConfig) -> list[Weight]:
    """Every parameter of the model, with its place in the checkpoint."""
    vision, text, dim = config.vision, config.text, config.projection_dim
    v, t = vision.hidden_size, text.hidden_size
    patch = (v, vision.num_channels, vision.patch_size, vision.patch_size)
    v_embed, t_embed = "vision_model.embeddings", "text_encoder.embeddings"
    return [
        Weight(("vision", "class_embedding"), f"{v_embed}.class_embedding", (1, 1, v)),
        Weight(
            ("vision", "patch_embedding", "kernel"),
            f"{v_embed}.patch_embedding.weight",
            patch,
            PATCHES,
        ),
        Weight(("vision", "patch_embedding", "bias"), f"{v_embed}.patch_embedding.bias", (v,)),
        Weight(
            ("vision", "position_embedding"),
            f"{v_embed}.position_embedding",
            (1, vision.num_positions, v),
        ),
        *_vision_blocks(vision),
        *norm(("vision", "post_norm"), "vision_model.post_layernorm", v),
        *linear(("vision", "projection"), "vision_proj", (dim, v)),
        Weight(
            ("text", "token_embedding"), f"{t_embed}.word_embeddings.weight", (text.vocab_size, t)
        ),
        Weight(
            ("text", "position_embedding"),
            f"{t_embed}.position_embeddings.weight",
            (text.max_position_embeddings, t),
        ),
        *norm(("text", "embedding_norm"), f"{t_embed}.LayerNorm", t),
        *_text_blocks(text),
        *linear(("text", "projection"), "text_proj", (dim, t)),
    ]


def _vision_blocks(config: BlipVisionConfig) -> list[Weight]:
    width, inner = config.hidden_size, config.intermediate_size
    path, layer = ("vision", "blocks"), "vision_model.encoder.layers.{layer}"
    table = [
        *norm((*path, "attention_norm"), f"{layer}.layer_norm1", width),
        *fused(path, f"{layer}.self_attn.qkv.weight", f"{layer}.self_attn.qkv.bias", width),
        *linear((*path, "attention_out"), f"{layer}.self_attn.projection", (width, width)),
        *norm((*path, "mlp_norm"), f"{layer}.layer_norm2", width),
        *linear((*path, "mlp_in"), f"{layer}.mlp.fc1", (inner, width)),
        *linear((*path, "mlp_out"), f"{layer}.mlp.fc2", (width, inner)),
    ]
    return stacked(table, config.num_hidden_layers)


def _text_blocks(config: BlipTextConfig) -> list[Weight]:
    width, inner = config.hidden_size, config.intermediate_size
    path, layer = ("text", "blocks"), "text_encoder.encoder.layer.{layer}"
    attention = f"{layer}.attention"
    table = [
        *linear((*path, "query"), f"{attention}.self.query", (width, width)),
        *linear((*path, "key"), f"{attention}.self.key", (width, width)),
        *linear((*path, "value"), f"{attention}.self.value", (width, width)),
        *linear((*path, "attention_out"), f"{attention}.output.dense", (width, width)),
        *norm((*path, "attention_norm"), f"{attention}.output.LayerNorm", width),
        *linear((*path, "mlp_in"), f"{layer}.intermediate.dense", (inner, width)),
        *linear((*path, "mlp_out"), f"{layer}.output.dense", (width, inner)),
        *norm((*path, "mlp_norm"), f"{layer}.output.LayerNorm", width),
    ]
    return stacked(table, config.num_hidden_layers)
