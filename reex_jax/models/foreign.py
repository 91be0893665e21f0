"""Checkpoints in layouts that are not read: what they are, and what to do instead."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

import huggingface_hub

from reex_jax.errors import UserError

PICKLED_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
_CONVERT = (
    "convert it to model.safetensors (transformers: "
    "CLIPModel, SiglipModel, BlipForImageTextRetrieval or LlamaForCausalLM"
    ".from_pretrained(folder).save_pretrained(new_folder))"
)
_CONVERT_OPEN_CLIP = (
    "convert it to open_clip_model.safetensors (safetensors.torch.save_file of its state dict)"
)
_REVISION = (
    "the safetensors version: on the hub, often at a revision refs/pr/<number>, which Hugging "
    "Face's converter proposes at https://huggingface.co/spaces/safetensors/convert"
)


def foreign_layout(folder: Path) -> UserError | None:
    """What is wrong with a folder that lacks config.json or model.safetensors, if it is known."""
    try:
        names = sorted(file.name for file in folder.iterdir())
    except OSError:
        return None
    return _explained(f"{folder}/", names)


def hub_layout(hub_id: str, revision: str | None) -> UserError:
    """Why a repository of the hub gave no weights; asks the hub what it holds instead."""
    at = f"{hub_id} at revision {revision or 'main'}"
    names: list[str] = []
    with contextlib.suppress(Exception):  # offline, or whatever: then the message says less
        names = sorted(huggingface_hub.list_repo_files(hub_id, revision=revision))
    return _explained(f"{at}: ", names) or UserError(
        f"{at}: holds no model.safetensors; give the revision of {_REVISION}"
    )


def _explained(where: str, names: Iterable[str]) -> UserError | None:
    """The first of what is recognised, best known first; None if nothing is."""
    names = list(names)
    variants = [n for n in names if n.startswith("model.") and n.endswith(".safetensors")]
    if variants and "model.safetensors" not in names:
        return UserError(
            f"{where}{variants[0]}: a variant of the weights; rename it to model.safetensors "
            "(float16 and bfloat16 are read too) or download the whole one"
        )
    if pickled := [name for name in names if name.endswith(PICKLED_SUFFIXES)]:
        convert = _CONVERT_OPEN_CLIP if pickled[0].startswith("open_clip") else _CONVERT
        return UserError(
            f"{where}{pickled[0]}: pickled weights are refused, because loading a pickle can "
            f"execute any code in it; {convert} or download {_REVISION}"
        )
    return None
