"""The public face of BLIP: one checkpoint folder in, unit embeddings of pictures and texts out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Int, Int32

from reex_jax.models.blip.checkpoint import read_blip
from reex_jax.models.blip.model import BlipModel, last_positions
from reex_jax.models.blip.tokenizer import FILES, load_blip_tokenizer
from reex_jax.models.folders import find_checkpoint
from reex_jax.models.inputs import check_vocabulary_fits
from reex_jax.models.loaded import LoadedModel
from reex_jax.models.preprocess import Preprocessing, read_preprocessing
from reex_jax.models.transformer import compute_dtype

TEMPERATURE = 0.01
"""Of the softmax over the gallery in TCR's published protocol for BLIP on COCO.

Hugging Face's port of the checkpoints drops BLIP's trained temperature (`temp`). In units of this
one, settings mean what they mean for OpenAI's CLIP, and TCR's own is its published 0.02.
"""


@dataclass(frozen=True, eq=False)
class Blip(LoadedModel):
    """A BLIP model with tokenizer and preprocessing of its checkpoint; see `LoadedModel`.

    Rankings are those of the contrastive embeddings (ITC). BLIP's own published recall has the best
    256 re-ranked by its matching head (ITM), which needs picture and text together: out of scope.
    """

    model: BlipModel = field(repr=False)

    tokenizer_files: ClassVar[str] = FILES

    @property
    def temperature(self) -> float:
        """See `TEMPERATURE`: a choice, since the checkpoints do not say."""
        return TEMPERATURE

    def spans(
        self, ids: Int[Array, "batch length"]
    ) -> tuple[Int32[Array, " batch"], Int32[Array, " batch"]]:
        """The positions behind [CLS] and of [SEP]; may be traced."""
        ends = last_positions(ids, self.model.config.text.pad_token_id)
        return jnp.ones_like(ends), ends


def load_blip(
    path_or_hub_id: str | Path,
    revision: str | None = None,
    precision: str = "auto",
    *,
    preprocessing: str = "clip",
    batch_size: int = 64,
) -> Blip:
    """Loads a checkpoint of BLIP for image-text retrieval (`BlipForImageTextRetrieval`).

    Args:
        path_or_hub_id: a folder, or a hub id such as "Salesforce/blip-itm-base-coco".
        revision: branch, tag or commit of a hub id.
        precision: of matrix products, see `load_clip`.
        preprocessing: "clip" (as the checkpoint's own files say) or "tcr", which is BLIP's own for
            captions and differs in nothing for pictures.
        batch_size: pictures or texts that go through the model at once.

    Raises:
        UserError: as `load_clip`.
    """
    dtype = compute_dtype(precision)
    folder = find_checkpoint(path_or_hub_id, revision)
    model = read_blip(folder, compute_dtype=dtype)
    vision, text = model.config.vision, model.config.text
    tokenizer = load_blip_tokenizer(folder, text.max_position_embeddings)
    check_vocabulary_fits(tokenizer, text, folder)
    settings = read_preprocessing(
        folder,
        vision.image_size,
        mode=preprocessing,
        default=Preprocessing(vision.image_size, squash=True),
    )
    return Blip(model, tokenizer, settings, folder, batch_size)
