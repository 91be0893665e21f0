"""Where each weight of a Hugging Face SigLIP checkpoint lives in `SiglipModel`: one table."""

from reex_jax.models.siglip.config import SiglipConfig
from reex_jax.models.weights import PATCHES, Weight, fused, linear, norm, transformers_blocks


def siglip_table(config: SiglipConfig) -> list[Weight]:
    """Every parameter of the model, with its place in the checkpoint."""
    vision, text = config.vision, config.text
    v, t, inner = vision.hidden_size, text.hidden_size, vision.intermediate_size
    patch = (v, vision.num_channels, vision.patch_size, vision.patch_size)
    v_embed, t_embed = "vision_model.embeddings", "text_model.embeddings"
    pooling, head = ("vision", "pooling"), "vision_model.head"
    return [
        Weight(("logit_scale",), "logit_scale", (1,)),
        Weight(("logit_bias",), "logit_bias", (1,)),
        Weight(
            ("vision", "patch_embedding", "kernel"),
            f"{v_embed}.patch_embedding.weight",
            patch,
            PATCHES,
        ),
        Weight(("vision", "patch_embedding", "bias"), f"{v_embed}.patch_embedding.bias", (v,)),
        Weight(
            ("vision", "position_embedding"),
            f"{v_embed}.position_embedding.weight",
            (vision.num_positions, v),
        ),
        *transformers_blocks("vision", vision),
        *norm(("vision", "post_norm"), "vision_model.post_layernorm", v),
        Weight((*pooling, "probe"), f"{head}.probe", (1, 1, v)),
        *fused(pooling, f"{head}.attention.in_proj_weight", f"{head}.attention.in_proj_bias", v),
        *linear((*pooling, "attention_out"), f"{head}.attention.out_proj", (v, v)),
        *norm((*pooling, "mlp_norm"), f"{head}.layernorm", v),
        *linear((*pooling, "mlp_in"), f"{head}.mlp.fc1", (inner, v)),
        *linear((*pooling, "mlp_out"), f"{head}.mlp.fc2", (v, inner)),
        Weight(
            ("text", "token_embedding"), f"{t_embed}.token_embedding.weight", (text.vocab_size, t)
        ),
        Weight(
            ("text", "position_embedding"),
            f"{t_embed}.position_embedding.weight",
            (text.max_position_embeddings, t),
        ),
        *transformers_blocks("text", text),
        *norm(("text", "final_norm"), "text_model.final_layer_norm", t),
        *linear(("text", "projection"), "text_model.head", (config.projection_dim, t)),
    ]
