"""Where each weight of an open_clip checkpoint lives in `ClipModel`: one table."""

from reex_jax.models.open_clip.config import OpenClipConfig
from reex_jax.models.transformer import Layers
from reex_jax.models.weights import PATCHES, Weight, fused, linear, norm, stacked

# A buffer and a bias on all scores, of which no ranking depends.
_IGNORED = ("attn_mask", "logit_bias")


def is_ignored(name: str) -> bool:
    """Whether a checkpoint's tensor is no part of the embeddings."""
    return name.removeprefix("text.") in _IGNORED


def open_clip_table(config: OpenClipConfig) -> list[Weight]:
    """Every parameter of the model, with its place in the checkpoint."""
    vision, text, dim = config.clip.vision, config.clip.text, config.clip.projection_dim
    v, t, words = vision.hidden_size, text.hidden_size, config.text_prefix
    patch = (v, vision.num_channels, vision.patch_size, vision.patch_size)
    positions = (text.max_position_embeddings, t)
    return [
        Weight(("logit_scale",), "logit_scale", () if config.scalar else (1,)),
        Weight(("vision", "class_embedding"), "visual.class_embedding", (v,)),
        Weight(("vision", "patch_embedding", "kernel"), "visual.conv1.weight", patch, PATCHES),
        Weight(
            ("vision", "position_embedding"),
            "visual.positional_embedding",
            (vision.num_positions, v),
        ),
        *norm(("vision", "pre_norm"), "visual.ln_pre", v),
        *_blocks(("vision", "blocks"), "visual.", vision),
        *norm(("vision", "post_norm"), "visual.ln_post", v),
        # The projections stand as [in, out] already.
        Weight(("vision", "projection", "kernel"), "visual.proj", (v, dim)),
        Weight(("text", "token_embedding"), f"{words}token_embedding.weight", (text.vocab_size, t)),
        Weight(("text", "position_embedding"), f"{words}positional_embedding", positions),
        *_blocks(("text", "blocks"), words, text),
        *norm(("text", "final_norm"), f"{words}ln_final", t),
        Weight(("text", "projection", "kernel"), f"{words}text_projection", (t, dim)),
    ]


def _blocks(path: tuple[str, ...], prefix: str, config: Layers) -> list[Weight]:
    width, inner = config.hidden_size, config.intermediate_size
    layer = f"{prefix}transformer.resblocks.{{layer}}"
    table = [
        *norm((*path, "attention_norm"), f"{layer}.ln_1", width),
        *fused(path, f"{layer}.attn.in_proj_weight", f"{layer}.attn.in_proj_bias", width),
        *linear((*path, "attention_out"), f"{layer}.attn.out_proj", (width, width)),
        *norm((*path, "mlp_norm"), f"{layer}.ln_2", width),
        *linear((*path, "mlp_in"), f"{layer}.mlp.c_fc", (inner, width)),
        *linear((*path, "mlp_out"), f"{layer}.mlp.c_proj", (width, inner)),
    ]
    return stacked(table, config.num_hidden_layers)
