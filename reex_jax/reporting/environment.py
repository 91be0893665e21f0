"""What a result depends on besides its configuration."""

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import psutil

_PACKAGES = (
    "reex_jax",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "transformers",
    "tokenizers",
    "numpy",
    "scipy",
    "pillow",
)


def describe_environment(
    checkpoint: Path,
    checkpoint_sha256: str,
    sentences: Mapping[str, str] | None = None,
    rewriter: str | None = None,
    command: Sequence[str] = (),
) -> dict[str, Any]:
    """Versions, machine, devices, checkpoint, git revision and command line, as plain JSON values.

    Args:
        checkpoint: the folder that the model was read from.
        checkpoint_sha256: of its weights.
        sentences: "file" and "sha256" of the rewritten captions, where the run reads some.
        rewriter: the identity of what repairs text queries, where something does.
        command: the options that the run was started with.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "versions": {"python": platform.python_version()} | _versions(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "devices": [f"{d.platform} {d.device_kind}" for d in jax.devices()],
        "processes": jax.process_count(),
        "checkpoint": {"folder": checkpoint.name, "sha256": checkpoint_sha256},
        "sentences": sentences and dict(sentences),
        "rewriter": rewriter,
        "git": git_revision(Path(__file__).parent),
    }


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def git_revision(folder: Path) -> dict[str, Any] | None:
    """Commit and whether files differ from it; None where the code is not in a git checkout."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # Installed into an environment inside another project's checkout: not our revision.
        git("ls-files", "--error-unmatch", str(Path(__file__).resolve()))
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def peak_memory_mb() -> float:
    """Peak memory of this process so far in MB: the first device's where it says, else the host's.

    On the CPU backend arrays live in host memory, so the host's figure covers both.
    """
    stats = jax.local_devices()[0].memory_stats()
    if stats and "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"] / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3  # bytes there, KiB elsewhere
