"""The results folder of a run: what was asked, where it ran, one line for each finished stream."""

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reex_jax.errors import UserError

Row = dict[str, Any]
STREAM_KEYS = ("method", "direction", "corruption", "severity", "seed")
# Where results and repairs lie, how progress is shown and how a server is asked change no number.
UNCOUNTED = (
    "results",
    "run_id",
    "progress",
    "data.workers",
    "data.cache",
    "gsr.cache",
    "gsr.batch_size",
    "gsr.base_url",
    "gsr.concurrency",
    "gsr.timeout_s",
    "gsr.attempts",
    "gsr.price_per_million",
)
_log = logging.getLogger(__name__)


def run_id(config: Mapping[str, Any], files: Sequence[str], version: str) -> str:
    """A name that equal configurations of equal code share, so that a restart finds its folder.

    Args:
        config: resolved, plain JSON values; the keys in UNCOUNTED do not count, nor does any below
            `gsr` while `gsr.rewriter` is off.
        files: SHA-256 of the checkpoint, and of whatever else the numbers depend on.
        version: of the code.
    """
    text = json.dumps([_counted(config), list(files), version], sort_keys=True)
    methods = config["method"]
    name = methods[0] if len(methods) == 1 else f"{len(methods)}_methods"
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _counted(config: Mapping[str, Any]) -> dict[str, Any]:
    repairs = config.get("gsr", {}).get("rewriter")
    return _without(config, UNCOUNTED if repairs else (*UNCOUNTED, "gsr"))


def _without(config: Mapping[str, Any], keys: Sequence[str], prefix: str = "") -> dict[str, Any]:
    return {
        key: _without(value, keys, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in config.items()
        if prefix + key not in keys
    }


def stream_key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells one line of metrics.jsonl from another."""
    return tuple(row[name] for name in STREAM_KEYS)


@dataclass(frozen=True)
class RunFolder:
    """`results/<experiment>/<run id>`: config.json, environment.json, metrics.jsonl, events.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def config(self) -> dict[str, Any]:
        """The run's resolved configuration."""
        return _read_config(self.path / "config.json")

    def ranks(self, row: Mapping[str, Any]) -> Path:
        """Where a stream's ranks lie: [num_queries] int32, zero-based, of the best right answer."""
        return self._file("ranks", stream_key(row), ".npy")

    def read_ranks(self, row: Mapping[str, Any]) -> np.ndarray:
        """What lies at `ranks`.

        Raises:
            UserError: the file is missing or damaged.
        """
        file = self.ranks(row)
        try:
            return np.load(file)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(
                f"{file}: the ranks of a stream cannot be read ({error}); remove its line from "
                f"{self.metrics}, it is then measured again"
            ) from error

    def checkpoint(self, method: str, stream: Any) -> Path:
        """The folder that keeps what a method had learned when a stream ended."""
        return self._file("checkpoints", stream_key({"method": method} | vars(stream)))

    def _file(self, kind: str, key: tuple[Any, ...], suffix: str = "") -> Path:
        name = "-".join(map(str, key))
        # Names of variants are free text; the digest keeps the cleaned ones apart.
        clean = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
        digest = hashlib.sha256(name.encode()).hexdigest()[:6]
        path = self.path / kind / f"{clean}-{digest}{suffix}"
        path.parent.mkdir(exist_ok=True)
        return path

    def append(self, row: Row) -> None:
        """Adds one line and has the system write it to disk before returning."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())


def open_run(path: Path, config: Mapping[str, Any], environment: Mapping[str, Any]) -> RunFolder:
    """Makes the folder, or opens it again after an interruption.

    A last line of metrics.jsonl that a crash cut short is taken out, with a warning.

    Args:
        path: the folder.
        config: resolved, plain JSON values.
        environment: from `describe_environment`; the first start's is kept.

    Raises:
        UserError: the folder holds a run of another configuration (UNCOUNTED keys may differ), or
            its config.json is damaged.
    """
    path.mkdir(parents=True, exist_ok=True)
    wanted = json.dumps(config, indent=2, sort_keys=True) + "\n"
    config_file = path / "config.json"
    if config_file.exists() and _counted(_read_config(config_file)) != _counted(config):
        raise UserError(
            f"{path} holds a run of another configuration (see its config.json); "
            "set run_id to another name, or remove the folder"
        )
    if not config_file.exists():
        text = json.dumps(environment, indent=2, sort_keys=True) + "\n"
        _write_whole(path / "environment.json", text)
        _write_whole(config_file, wanted)
    folder = RunFolder(path)
    _drop_torn_line(folder.metrics)
    return folder


def read_rows(metrics: Path) -> list[Row]:
    """The lines of a metrics.jsonl; none if it does not exist.

    A last line that is not finished (the run was killed, or is just writing it) is left out, with
    a warning; the file is not changed.

    Raises:
        UserError: a line is not JSON, or lacks one of the stream's keys.
    """
    if not metrics.exists():
        return []
    *lines, torn = metrics.read_bytes().split(b"\n")
    if torn:
        _log.warning("%s: left out its last line, which is not finished", metrics)
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            stream_key(row)
        except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise UserError(
                f"{metrics}: line {number} is damaged ({error}); remove that line, its stream "
                "is then measured again"
            ) from error
        rows.append(row)
    return rows


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{file} is damaged ({error}); remove the folder") from error
    if not isinstance(config, dict):
        raise UserError(f"{file} is damaged (it holds no object); remove the folder")
    return config


def _drop_torn_line(metrics: Path) -> None:
    if not metrics.exists():
        return
    content = metrics.read_bytes()
    if content and not content.endswith(b"\n"):
        whole = content[: content.rfind(b"\n") + 1]
        _log.warning("%s: dropped its last line, cut short by an interruption", metrics)
        _write_whole(metrics, whole.decode("utf-8"))


def _write_whole(file: Path, text: str) -> None:
    """Readers see the old file or the new one, never half of it."""
    part = file.with_name(file.name + ".part")
    part.write_text(text, "utf-8")
    part.replace(file)
