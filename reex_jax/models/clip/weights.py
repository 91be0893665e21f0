"""Where each weight of a Hugging Face CLIP checkpoint lives in `ClipModel`: one table."""

from reex_jax.models.clip.config import ClipConfig, TextConfig, VisionConfig
from reex_jax.models.weights import LINEAR, PATCHES, Weight, linear, norm, stacked

# Buffers that older checkpoints carry beside the weights; they hold 0, 1, 2, ... and say nothing.
IGNORED_SUFFIX = ".embeddings.position_ids"


def weight_table(config: ClipConfig) -> list[Weight]:
    """Every parameter of the model, with its place in the checkpoint."""
    vision, text, dim = config.vision, config.text, config.projection_dim
    v, t = vision.hidden_size, text.hidden_size
    patch = (v, vision.num_channels, vision.patch_size, vision.patch_size)
    v_embed, t_embed = "vision_model.embeddings", "text_model.embeddings"
    v_position, t_position = f"{v_embed}.position_embedding", f"{t_embed}.position_embedding"
    return [
        Weight(("logit_scale",), "logit_scale", ()),
        Weight(("vision", "class_embedding"), f"{v_embed}.class_embedding", (v,)),
        Weight(
            ("vision", "patch_embedding", "kernel"),
            f"{v_embed}.patch_embedding.weight",
            patch,
            PATCHES,
        ),
        Weight(("vision", "position_embedding"), f"{v_position}.weight", (vision.num_positions, v)),
        # Hugging Face's spelling.
        *norm(("vision", "pre_norm"), "vision_model.pre_layrnorm", v),
        *_blocks("vision", vision),
        *norm(("vision", "post_norm"), "vision_model.post_layernorm", v),
        Weight(("vision", "projection", "kernel"), "visual_projection.weight", (dim, v), LINEAR),
        Weight(
            ("text", "token_embedding"), f"{t_embed}.token_embedding.weight", (text.vocab_size, t)
        ),
        Weight(
            ("text", "position_embedding"),
            f"{t_position}.weight",
            (text.max_position_embeddings, t),
        ),
        *_blocks("text", text),
        *norm(("text", "final_norm"), "text_model.final_layer_norm", t),
        Weight(("text", "projection", "kernel"), "text_projection.weight", (dim, t), LINEAR),
    ]


def _blocks(tower: str, config: VisionConfig | TextConfig) -> list[Weight]:
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    path, layer = (tower, "blocks"), f"{tower}_model.encoder.layers.{{layer}}"
    table = [
        *norm((*path, "attention_norm"), f"{layer}.layer_norm1", width),
        *linear((*path, "query"), f"{layer}.self_attn.q_proj", (width, width)),
        *linear((*path, "key"), f"{layer}.self_attn.k_proj", (width, width)),
        *linear((*path, "value"), f"{layer}.self_attn.v_proj", (width, width)),
        *linear((*path, "attention_out"), f"{layer}.self_attn.out_proj", (width, width)),
        *norm((*path, "mlp_norm"), f"{layer}.layer_norm2", width),
        *linear((*path, "mlp_in"), f"{layer}.mlp.fc1", (inner, width)),
        *linear((*path, "mlp_out"), f"{layer}.mlp.fc2", (width, inner)),
    ]
    return stacked(table, layers)
