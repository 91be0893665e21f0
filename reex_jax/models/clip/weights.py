"""Where each weight of a Hugging Face CLIP checkpoint lives in `ClipModel`: one table."""

from reex_jax.models.clip.config import ClipConfig
from reex_jax.models.weights import LINEAR, PATCHES, Weight, norm, transformers_blocks


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
        *transformers_blocks("vision", vision),
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
        *transformers_blocks("text", text),
        *norm(("text", "final_norm"), "text_model.final_layer_norm", t),
        Weight(("text", "projection", "kernel"), "text_projection.weight", (dim, t), LINEAR),
    ]
