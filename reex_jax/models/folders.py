"""Checkpoint folders in Hugging Face's layout, whatever the family of the model: find and hash.

A folder holds `config.json` and `model.safetensors`, or shards of it and
`model.safetensors.index.json` (and the tokenizer's and preprocessing's files).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType

import huggingface_hub

from reex_jax.errors import UserError
from reex_jax.files import home, refuse_pointer
from reex_jax.models.foreign import foreign_layout, hub_layout

BUNDLED = "bundled"
"""Stands for the small model in this package."""
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = "open_clip_model.safetensors"
OPEN_CLIP_INDEX = "open_clip_model.safetensors.index.json"
HUB_PATTERNS = ["*.json", "*.txt", "spiece.model", WEIGHTS, "model-*-of-*.safetensors"]
OPEN_CLIP_PATTERNS = ["open_clip_model*.safetensors"]
REVISIONS: Mapping[str, str] = MappingProxyType(
    {"openai/clip-vit-base-patch32": "c237dc49a33fc61debc9276459120b7eac67e7ef"}
)
"""Hub ids whose main branch has no safetensors -> the commit of Hugging Face's converter."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def find_checkpoint(path_or_hub_id: str | Path, revision: str | None = None) -> Path:
    """The folder of a checkpoint; a hub id such as `openai/clip-vit-base-patch16` is downloaded.

    Args:
        path_or_hub_id: a local folder, or `owner/name` on the Hugging Face hub.
        revision: branch, tag or commit on the hub; None for the one of REVISIONS or else the main
            branch, and for a local folder.

    Raises:
        UserError: neither a folder nor a hub id, or the hub cannot give it (offline, unknown,
            private).
    """
    folder = home(path_or_hub_id)
    if folder.is_dir():
        if revision is not None:
            raise UserError(
                f"{folder} is a local folder, which has no revision {revision!r}; leave it out"
            )
        return folder
    if folder.is_file():
        raise UserError(f"{folder} is a file; give the folder that holds config.json and {WEIGHTS}")
    hub_id = str(path_or_hub_id)
    if not _HUB_ID.fullmatch(hub_id):
        raise UserError(
            f"{hub_id}: no such folder, and not a hub id either (owner/name); give a folder with "
            f"config.json and {WEIGHTS}"
        )
    return _download(hub_id, revision)


def bundled_folder(revision: str | None = None) -> Path:
    """The folder of the small model in this package.

    Raises:
        UserError: a revision, which it has none of; or it was not installed with the package.
    """
    if revision is not None:
        raise UserError(f"the bundled model has no revision {revision!r}; leave it out")
    folder = Path(str(resources.files("reex_jax.models.clip"))) / BUNDLED
    if not (folder / "config.json").is_file():
        raise UserError(
            f"{folder}: the bundled model is not part of this installation; install reex_jax "
            "with its package data, or give a checkpoint folder or hub id"
        )
    return folder


def checkpoint_sha256(folder: str | Path) -> str:
    """Hexadecimal SHA-256 of the weights, to name the checkpoint in a result.

    With one file it is that file's own hash, as `sha256sum` and the hub show it; with shards it is
    the hash of the lines "<hash>  <name>" in the order of the names.
    """
    files = weight_files(folder)
    hashes = [(_sha256(file), file.name) for file in files]
    if len(hashes) == 1:
        return hashes[0][0]
    lines = "".join(f"{digest}  {name}\n" for digest, name in hashes)
    return hashlib.sha256(lines.encode()).hexdigest()


def weight_files(folder: str | Path) -> list[Path]:
    """The safetensors files of a checkpoint folder, sorted by name.

    Raises:
        UserError: there are none, or only pickled ones; an index that is damaged or names a file
            that is not there.
    """
    folder = home(folder)
    whole, index = _weight_names(folder)
    if (folder / whole).is_file():
        return [folder / whole]
    if (folder / index).is_file():
        return _shards(folder / index)
    if foreign := foreign_layout(folder):
        raise foreign
    raise UserError(
        f"{folder / whole}: not found, nor {index}; a checkpoint folder needs its weights as "
        "safetensors (a model on the hub may have them at another revision only)"
    )


def is_open_clip(folder: Path) -> bool:
    """Whether a folder must be read in open_clip's layout.

    Many repositories hold a model in both layouts: Hugging Face's comes first.
    """
    if not (folder / OPEN_CLIP_CONFIG).is_file():
        return False
    weights = any((folder / name).is_file() for name in (WEIGHTS, INDEX))
    return not (weights and (folder / "config.json").is_file())


def _weight_names(folder: Path) -> tuple[str, str]:
    """What the weights are called in a folder's layout: whole, and the index of shards."""
    return (OPEN_CLIP_WEIGHTS, OPEN_CLIP_INDEX) if is_open_clip(folder) else (WEIGHTS, INDEX)


def _shards(index: Path) -> list[Path]:
    refuse_pointer(index)
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        files = sorted(index.parent / Path(name).name for name in names)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{index}: not a valid index ({type(error).__name__}: {error}); download it again"
        ) from error
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        raise UserError(
            f"{index}: names {', '.join(missing) or 'no file'}, which the folder lacks; download "
            "every shard"
        )
    return files


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _snapshot(hub_id: str, revision: str | None, patterns: list[str]) -> Path:
    return Path(
        huggingface_hub.snapshot_download(hub_id, revision=revision, allow_patterns=patterns)
    )


def _download(hub_id: str, revision: str | None) -> Path:
    revision = revision or REVISIONS.get(hub_id)
    try:
        folder = _snapshot(hub_id, revision, HUB_PATTERNS)
        # Only where it has no other: the same weights twice would be gigabytes for nothing.
        if is_open_clip(folder):
            folder = _snapshot(hub_id, revision, OPEN_CLIP_PATTERNS)
    # Offline, unknown, private and gated raise unrelated types, and the transport adds its own.
    except Exception as error:
        at = f" at revision {revision!r}" if revision else ""
        reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise UserError(
            f"{hub_id}{at}: there is no such folder here, and the Hugging Face hub did not give it "
            f"({type(error).__name__}: {reason}); check the id and the network, or download the "
            f"checkpoint elsewhere and pass the path of its folder (config.json, {WEIGHTS}, "
            "tokenizer files)"
        ) from error
    if not any((folder / name).is_file() for name in _weight_names(folder)):
        raise hub_layout(hub_id, revision)
    return folder
