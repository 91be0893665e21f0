"""What the numbers of a run depend on: settings that count, files, and code."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import reex_jax
from reex_jax.benchmark.method_sources import method_sources
from reex_jax.settings.choices import OFF
from reex_jax.settings.experiment import Experiment

_PARTS = ("arrays", "adaptation", "corruptions", "datasets", "models", "queries", "retrieval")


def run_identity(experiment: Experiment, files: Sequence[str]) -> dict[str, Any]:
    """Plain values that are equal for two runs whose numbers must be equal.

    Args:
        experiment: what is measured.
        files: SHA-256 of the checkpoint, and of whatever else is read.
    """
    return {
        "settings": counted_settings(experiment),
        "files": list(files),
        "code": code_digests(experiment),
    }


def counted_settings(experiment: Experiment) -> dict[str, Any]:
    """The settings that change numbers, by their whole keys.

    Those of methods that do not run do not count, nor do those of repair and of updates where
    nothing repairs or learns.
    """
    learns = any(experiment.behind(method).method != "none" for method in experiment.method)
    off = {"settings": True, "variants": True, "gsr": experiment.gsr.rewriter == OFF}
    off["adapt"] = not learns
    values = {
        entry.key: entry.value
        for entry in experiment.entries()
        if entry.counted and not off.get(entry.key.partition(".")[0])
    }
    for method in experiment.method:
        for direction in experiment.directions:
            own = experiment.own_settings(method, direction)
            values[f"{method} {direction}"] = {
                "method": experiment.behind(method).method,
                **dict(sorted(own.items())),
            }
    return values


def code_digests(experiment: Experiment) -> dict[str, str]:
    """SHA-256 of the source code that computes the numbers, by its part.

    Of the methods only those that run; see `method_sources` for the user's own.

    Raises:
        UserError: a method whose code lies in no file.
    """
    root = Path(reex_jax.__file__).parent
    parts = [*_PARTS, "gsr"] if experiment.gsr.rewriter != OFF else list(_PARTS)
    digests = {part: _digest(_sources(root, part)) for part in parts}
    bases = dict.fromkeys(experiment.behind(method).method for method in experiment.method)
    return digests | {f"method {name}": _digest(method_sources(name)) for name in bases}


def _sources(root: Path, part: str) -> list[Path]:
    found = [root / f"{part}.py", *(root / part).rglob("*.py")]
    methods = root / "adaptation" / "methods"
    return sorted(path for path in found if path.is_file() and methods not in path.parents)


def _digest(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
