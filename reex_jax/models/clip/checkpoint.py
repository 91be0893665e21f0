"""Checkpoint folders in Hugging Face's layout: find, read and write them.

A folder holds `config.json` and `model.safetensors`, or shards of it and
`model.safetensors.index.json` (and the tokenizer's and preprocessing's files, read elsewhere).
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import huggingface_hub
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from reex_jax.errors import UserError
from reex_jax.models.clip.config import read_config
from reex_jax.models.clip.model import ClipModel
from reex_jax.models.clip.weights import IGNORED_SUFFIX, Weight, weight_table

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
HUB_PATTERNS = ["*.json", "*.txt", WEIGHTS, "model-*-of-*.safetensors"]
SAVED_DTYPES = ("float32", "float16", "bfloat16")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FLOATS = ("F64", "F32", "F16", "BF16")
_LISTED_NAMES = 20


def find_checkpoint(path_or_hub_id: str | Path, revision: str | None = None) -> Path:
    """The folder of a checkpoint; a hub id such as `openai/clip-vit-base-patch16` is downloaded.

    Args:
        path_or_hub_id: a local folder, or `owner/name` on the Hugging Face hub.
        revision: branch, tag or commit on the hub; None for the main branch or a local folder.

    Raises:
        UserError: neither a folder nor a hub id, or the hub cannot give it (offline, unknown,
            private).
    """
    folder = Path(path_or_hub_id).expanduser()
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


def load_model(folder: str | Path, *, compute_dtype: DTypeLike = jnp.float32) -> ClipModel:
    """Read a model; its parameters are float32 whatever the file's float type.

    Tensors are read one by one, so the host holds little more than the model itself.

    Raises:
        UserError: a file is missing, damaged, pickled or of another architecture; a weight is
            missing, unexpected or of the wrong shape. The message names the file and the weights.
    """
    folder = Path(folder)
    config = read_config(folder)
    table = weight_table(config)
    files = weight_files(folder)
    homes = _checked_homes(files, table)
    abstract = nnx.eval_shape(
        lambda: ClipModel(config, compute_dtype=compute_dtype, rngs=nnx.Rngs(0))
    )
    structure, state = nnx.split(abstract)
    parameters = dict(nnx.to_flat_state(state))

    def read(name: str) -> np.ndarray:
        # Opened anew for each tensor: a map kept open keeps all pages read so far in memory.
        with _open(homes[name]) as tensors:
            return tensors.get_tensor(name)

    for weight in table:
        parameter = parameters[weight.path]
        parameter.set_value(jnp.asarray(weight.to_model(read, parameter.shape)))
    return nnx.merge(structure, nnx.from_flat_state(parameters.items()))


def save_model(model: ClipModel, folder: str | Path, *, dtype: DTypeLike = np.float32) -> None:
    """Write `config.json` and `model.safetensors`, as transformers' CLIPModel reads them.

    Args:
        model: its parameters are written; compute_dtype is not kept.
        folder: made if needed; files of these two names are replaced.
        dtype: float32, float16 or bfloat16.

    Raises:
        UserError: another dtype, or a weight too large for it.
    """
    name = np.dtype(dtype).name
    if name not in SAVED_DTYPES:
        raise UserError(f"cannot save weights as {name}; allowed: {', '.join(SAVED_DTYPES)}")
    parameters = dict(nnx.to_flat_state(nnx.state(model, nnx.Param)))
    tensors: dict[str, np.ndarray] = {}
    for weight in weight_table(model.config):
        parameter = np.asarray(parameters[weight.path][...])
        tensors.update(weight.to_hf(_cast(parameter, np.dtype(dtype), weight.path)))
    config = model.config.to_dict() | {"dtype": name}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    _replace(folder / "config.json", lambda file: file.write_text(text, encoding="utf-8"))
    # transformers refuses a safetensors file that does not say which framework's layout it has.
    _replace(folder / WEIGHTS, lambda file: save_file(tensors, file, metadata={"format": "pt"}))


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
    folder = Path(folder)
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        return _shards(folder / INDEX)
    pickled = sorted(file for file in folder.glob("*") if file.suffix in PICKLED_SUFFIXES)
    if pickled:
        raise UserError(
            f"{pickled[0]}: pickled weights are refused, because loading a pickle can execute any "
            f"code in it; convert it to {WEIGHTS} (transformers: "
            "CLIPModel.from_pretrained(folder).save_pretrained(new_folder)) or download the "
            "safetensors version"
        )
    raise UserError(
        f"{folder / WEIGHTS}: not found, nor {INDEX}; a checkpoint folder needs its weights as "
        "safetensors (a model on the hub may have them at another revision only)"
    )


def _shards(index: Path) -> list[Path]:
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        files = sorted(index.parent / Path(name).name for name in names)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
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


def _open(file: Path) -> safe_open:
    try:
        return safe_open(file, framework="np")
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{file}: damaged or incomplete ({error}); download or copy the file again"
        ) from error


def _checked_homes(files: list[Path], table: list[Weight]) -> dict[str, Path]:
    """Which file holds each tensor, once names, shapes and types are what the model needs."""
    expected = {name: weight.hf_shape for weight in table for name in weight.hf_names()}
    homes: dict[str, Path] = {}
    wrong_shape, wrong_type = [], []
    for file in files:
        with _open(file) as tensors:
            names = tensors.keys()
            for name in names:
                if name.endswith(IGNORED_SUFFIX):
                    continue
                homes[name] = file
                tensor = tensors.get_slice(name)
                shape, dtype = tuple(tensor.get_shape()), tensor.get_dtype()
                if shape != expected.get(name, shape):
                    wrong_shape.append(f"{name} is {list(shape)}, not {list(expected[name])}")
                if dtype not in _FLOATS:
                    wrong_type.append(f"{name} is {dtype}, not one of {', '.join(_FLOATS)}")
    problems = {
        "missing": [name for name in expected if name not in homes],
        "unexpected": [name for name in homes if name not in expected],
        "wrong shape": wrong_shape,
        "wrong type": wrong_type,
    }
    found = [f"{kind}: {_some(names)}" for kind, names in problems.items() if names]
    if found:
        raise UserError(
            f"{files[0]}: the weights are not those of the model in config.json; "
            f"{'; '.join(found)}; take both files from the same CLIP checkpoint"
        )
    return homes


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - _LISTED_NAMES
    return ", ".join(names[:_LISTED_NAMES]) + (f" and {more} more" if more > 0 else "")


def _cast(parameter: np.ndarray, dtype: np.dtype, path: tuple[str, ...]) -> np.ndarray:
    with np.errstate(over="ignore"):
        cast = parameter.astype(dtype)
    if np.isfinite(parameter).all() and not np.isfinite(cast).all():
        raise UserError(
            f"{'/'.join(path)} has a value of {np.abs(parameter).max():g}, too large for "
            f"{dtype.name}; save as float32"
        )
    return cast


def _replace(file: Path, write: Callable[[Path], object]) -> None:
    """Write beside the file and rename, so that an interrupted save leaves the old one whole."""
    partial = file.with_name(f"{file.name}.partial")
    write(partial)
    partial.replace(file)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _download(hub_id: str, revision: str | None) -> Path:
    try:
        return Path(
            huggingface_hub.snapshot_download(
                hub_id, revision=revision, allow_patterns=HUB_PATTERNS
            )
        )
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
