"""The results folder of a run: what was asked, where it ran, one line for each finished stream."""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from reex_jax.errors import UserError
from reex_jax.reporting.rows import Row, stream_key

_log = logging.getLogger(__name__)


def run_id(methods: Sequence[str], identity: Mapping[str, Any]) -> str:
    """A name that equal runs of equal code share, so that a restart finds its folder.

    Args:
        methods: what is measured.
        identity: plain JSON values that are equal for runs whose numbers must be equal.
    """
    text = json.dumps(identity, sort_keys=True)
    name = methods[0] if len(methods) == 1 else f"{len(methods)}_methods"
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


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

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def environment_file(self) -> Path:
        return self.path / "environment.json"

    def config(self) -> dict[str, Any]:
        """The run's resolved configuration."""
        return _read_object(self.config_file)

    def ranks(self, row: Mapping[str, Any], ranking: str = "plain") -> Path:
        """Where a stream's ranks lie: [num_queries] int32, zero-based, of the best right answer.

        Args:
            row: of the stream, or what `by_ranking` made of it.
            ranking: "plain" or "calibrated"; the row's own comes first.
        """
        key = stream_key({**row, "method": row.get("method_alone", row["method"])})
        own = row.get("ranking", ranking)
        return self._file("ranks", key, ".npy" if own == "plain" else f".{own}.npy")

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

    def environment(self) -> dict[str, Any]:
        """Where it ran."""
        return _read_object(self.path / "environment.json")

    def details(self, row: Mapping[str, Any]) -> Path:
        """Where lies what was seen of a stream on the way, see `reporting.details`."""
        key = stream_key({**row, "method": row.get("method_alone", row["method"])})
        return self._place("details", key, ".npz")

    def curves(self, method: str, stream: Any) -> Path:
        """The folder of a pass's curves, for TensorBoard; `stream`: its last one."""
        return self._place("events/batches", stream_key({"method": method} | vars(stream)))

    def checkpoint(self, method: str, stream: Any) -> Path:
        """The folder that keeps what a method had learned when a stream ended."""
        return self._file("checkpoints", stream_key({"method": method} | vars(stream)))

    def _file(self, kind: str, key: tuple[Any, ...], suffix: str = "") -> Path:
        path = self._place(kind, key, suffix)
        path.parent.mkdir(exist_ok=True)
        return path

    def _place(self, kind: str, key: tuple[Any, ...], suffix: str = "") -> Path:
        name = "-".join(map(str, key))
        # Names of variants are free text; the digest keeps the cleaned ones apart.
        clean = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
        digest = hashlib.sha256(name.encode()).hexdigest()[:6]
        return self.path / kind / f"{clean}-{digest}{suffix}"

    def append(self, row: Row) -> None:
        """Adds one line and has the system write it to disk before returning."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())


def open_run(
    path: Path,
    config: Mapping[str, Any],
    environment: Mapping[str, Any],
    identity: Mapping[str, Any],
) -> RunFolder:
    """Makes the folder, or opens it again; what it holds already stays as it is.

    Args:
        path: the folder.
        config: resolved, plain JSON values.
        environment: from `describe_environment`; the first start's is kept.
        identity: what the numbers depend on, plain JSON values; kept in environment.json.

    Raises:
        UserError: the folder holds a run of another identity, its files are damaged, or another
            run is making it at this moment.
    """
    _make(path)
    folder = RunFolder(path)
    if not folder.config_file.exists():
        with _lock(path):
            if not folder.config_file.exists():  # another run may have been faster
                _describe(folder, config, {**environment, "identity": identity})
    folder.config()
    saved = _read_object(folder.environment_file).get("identity")
    if saved != identity:
        raise UserError(
            f"{path} holds a run with another {_difference(saved, identity)}; "
            "set run_id to another name, or remove the folder"
        )
    return folder


def _describe(folder: RunFolder, config: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
    metrics = folder.metrics
    if metrics.exists() and metrics.stat().st_size:
        raise UserError(
            f"{folder.path} holds results but no config.json, so nobody knows what was measured; "
            "set run_id to another name, or remove the folder"
        )
    _write_whole(folder.environment_file, _text(environment))
    _write_whole(folder.config_file, _text(config))


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{path}: the results folder cannot be made ({error.strerror}); set results to another"
        ) from error


@contextmanager
def alone_in(folder: RunFolder) -> Iterator[None]:
    """Keeps other runs out of a folder while its streams are measured.

    A last line of metrics.jsonl that a crash cut short is taken out, with a warning. Only here,
    since outside it may be one that another run is just writing. Rows that were read before may
    lack what that run has measured in the meantime.

    Raises:
        UserError: another run works there.
    """
    with _lock(folder.path):
        _drop_torn_line(folder.metrics)
        yield


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """The system lets go of it when the process ends, however it ends."""
    lock = FileLock(path / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{path}: another run is measuring there; wait for it to end, then start the "
            "same command again, or set run_id to another name"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2, sort_keys=True) + "\n"


def _difference(saved: Any, own: Mapping[str, Any]) -> str:
    """The key of the first value that differs; folders of earlier versions have none at all."""
    if not isinstance(saved, Mapping):
        return "version of reex_jax"
    for key in own:
        if saved.get(key) != own[key]:
            inside = isinstance(own[key], Mapping) and isinstance(saved.get(key), Mapping)
            return f"{key}: {_difference(saved[key], own[key])}" if inside else str(key)
    return "set of " + ", ".join(sorted(saved.keys() - own.keys()))


def _read_object(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); remove the folder") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is damaged ({error!s:.200}); remove the folder") from error
    if not isinstance(found, dict):
        raise UserError(f"{file} is damaged (it holds no object); remove the folder")
    return found


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
