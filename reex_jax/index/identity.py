"""Which model embedded an index, exactly: two models' embeddings lie in two spaces."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from reex_jax.errors import UserError
from reex_jax.models.folders import BUNDLED, bundled_folder
from reex_jax.models.two_tower import TwoTower

_WEIGHTS = (".safetensors", ".bin", ".msgpack", ".h5", ".onnx", ".pt", ".ot")
_SETTINGS = (".json", ".txt", ".model")


@dataclass(frozen=True)
class ModelIdentity:
    """What tells a model from every other.

    Attributes:
        name: what `load_model` takes: "bundled", a hub id, or the path of a folder. Two models that
            differ in nothing else are the same.
        weights: SHA-256 of the weights, see `TwoTower.sha256`.
        files: SHA-256 of configuration, tokenizer and preprocessing files.
        preprocessing: "clip" or "tcr".
        dim: width of the embeddings.
    """

    name: str
    weights: str
    files: str
    preprocessing: str
    dim: int

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """From what `to_dict` gave.

        Raises:
            ValueError: other keys or types.
        """
        if not isinstance(values, Mapping):
            raise ValueError("model is no mapping")
        kinds = {"name": str, "weights": str, "files": str, "preprocessing": str, "dim": int}
        for key, kind in kinds.items():
            if not isinstance(values.get(key), kind):
                raise ValueError(f"model.{key} is missing or not {kind.__name__}")
        return cls(**{key: values[key] for key in kinds})

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def refuse(self, other: "ModelIdentity", where: object) -> None:
        """Raises UserError where `other` is not the model of the index at `where`."""
        reasons = {
            "weights": "its weights are not those",
            "files": "its configuration, tokenizer or preprocessing files are not those",
            "preprocessing": f"it prepares {other.preprocessing!r}, not {self.preprocessing!r}",
            "dim": f"its embeddings are {other.dim} wide, not {self.dim}",
        }
        for key, reason in reasons.items():
            if getattr(self, key) != getattr(other, key):
                raise UserError(
                    f"{where}: was made with the model {self.name}, and {other.name} is another: "
                    f"{reason}; give the model of the index, or build an index with this one"
                )


def identity_of(model: TwoTower, name: str | Path | None = None) -> ModelIdentity:
    """The identity of a loaded model; reads and hashes its files.

    Args:
        model: of any family.
        name: what it was loaded by; None: "bundled" or its folder.
    """
    folder = model.folder
    if name is None:
        name = BUNDLED if _same(folder, bundled_folder()) else folder.resolve()
    return ModelIdentity(str(name), model.sha256, _files_hash(folder), model.mode, model.dim)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _files_hash(folder: Path) -> str:
    """Of every small file that may say how the model is used; weights have their own hash."""
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        of_weights = ".index." in file.name or file.suffix in _WEIGHTS
        if file.suffix in _SETTINGS and not of_weights and file.is_file():
            digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
