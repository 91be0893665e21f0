"""Results folders, joined where they belong together: shares of one run, methods of one protocol.

What cannot be read becomes a note, so that the rest is still shown.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reex_jax.errors import UserError
from reex_jax.reporting.rows import Row, read_rows, stream_key
from reex_jax.reporting.run_folder import RunFolder
from reex_jax.settings.choices import REPAIRED

_APART = {"data": ("workers", "cache"), "adapt": ("devices",), "gsr": ("cache", "compare")}
_SHARED = ("name", "precision", "data", "max_queries", "batch_size", "adapt", "rank", "gsr")
_ELSEWHERE = "metrics.jsonl"


@dataclass(eq=False)
class Results:
    """Rows that may stand in one table.

    Attributes:
        name: of the experiment.
        folders: where they come from.
        configs: of each folder.
        environments: of each folder.
        rows: of all, each stream of a method once.
        homes: stream key -> the folder that measured it.
        notes: what a reader must know: what is missing, damaged, or measured twice.
    """

    name: str
    folders: list[RunFolder] = field(default_factory=list)
    configs: list[Mapping[str, Any]] = field(default_factory=list)
    environments: list[Mapping[str, Any]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    homes: dict[tuple[Any, ...], RunFolder] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def home(self, row: Mapping[str, Any]) -> RunFolder:
        """The folder of a row, or of what `by_ranking` made of one."""
        return self.homes[stream_key({**row, "method": row.get("method_alone", row["method"])})]


def read_results(paths: Sequence[str]) -> tuple[list[Results], list[str]]:
    """What lies at paths, and notes on what does not.

    Args:
        paths: results folders, or folders that hold some.

    Returns:
        groups of folders that share experiment, data, checkpoint and protocol, in the order given;
        and notes on folders that were left out.

    Raises:
        UserError: no path, one that does not exist, or no folder with results that can be read.
    """
    if not paths:
        raise UserError("name a results folder, for example results/scenes_c, or several")
    notes: list[str] = []
    found: dict[str, Results] = {}
    for path in dict.fromkeys(place for name in paths for place in _run_folders(Path(name))):
        try:
            folder, config, environment, rows = _read(path)
        except UserError as error:
            notes.append(f"{error}")
            continue
        if not rows:
            notes.append(f"{path}: has no finished stream yet")
            continue
        key = json.dumps(_protocol(config, environment), sort_keys=True)
        own = found.setdefault(key, Results(str(config.get("name", path.parent.name))))
        _add(own, folder, config, environment, rows)
    if not found:
        raise UserError("no results that can be read: " + "; ".join(notes))
    for own in found.values():
        _note_shares(own)
    return list(found.values()), notes


def _run_folders(path: Path) -> list[Path]:
    if not path.exists():
        raise UserError(f"{path}: there is no such folder; results lie in results/ by default")
    if (path / _ELSEWHERE).exists() or (path / "config.json").exists():
        return [path]
    found = sorted(p.parent for p in path.glob("*/config.json"))
    found += sorted(p.parent for p in path.glob("*/*/config.json"))
    if not found:
        raise UserError(
            f"{path}: holds no results; name a folder with {_ELSEWHERE}, or one that holds some"
        )
    return found


def _read(path: Path) -> tuple[RunFolder, Mapping[str, Any], Mapping[str, Any], list[Row]]:
    folder = RunFolder(path)
    rows = read_rows(folder.metrics)
    return folder, folder.config(), folder.environment(), rows


def _protocol(config: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal for numbers of two folders to stand side by side."""
    found: dict[str, Any] = {}
    for name in _SHARED:
        value = config.get(name)
        if isinstance(value, Mapping):
            value = {k: v for k, v in value.items() if k not in _APART.get(name, ())}
        found[name] = value
    checkpoint = environment.get("checkpoint")
    found["checkpoint"] = checkpoint.get("sha256") if isinstance(checkpoint, Mapping) else None
    # Repairs change nothing where there are none to be made.
    if isinstance(found["gsr"], dict) and not found["gsr"].get("rewriter"):
        found["gsr"] = None
    return found


def _add(
    own: Results,
    folder: RunFolder,
    config: Mapping[str, Any],
    environment: Mapping[str, Any],
    rows: Iterable[Row],
) -> None:
    own.folders.append(folder)
    own.configs.append(config)
    own.environments.append(environment)
    twice = 0
    for row in rows:
        key = stream_key(row)
        if key in own.homes:
            twice += own.homes[key] is not folder
            continue
        own.homes[key] = folder
        own.rows.append(row)
    if twice:
        own.notes.append(
            f"{folder.path}: {twice} streams were measured in an earlier folder of this list too; "
            "those are shown"
        )


def _note_shares(own: Results) -> None:
    """Says which shares of a run are missing; brings joined rows into the order of a whole run."""
    shares: dict[str, set[int]] = {}
    for environment in own.environments:
        number, _, of = str(environment.get("shard", "")).partition("/")
        if of:
            shares.setdefault(of, set()).add(int(number))
    for of, found in shares.items():
        missing = [str(n) for n in range(1, int(of) + 1) if n not in found]
        if missing:
            own.notes.append(f"shares {', '.join(missing)} of {of} are missing")
    orders = [list(dict.fromkeys(_listed(config))) for config in own.configs]
    methods = list(dict.fromkeys(name for order in orders for name in order))
    place = {name: number for number, name in enumerate(methods)}

    kinds = list(dict.fromkeys(kind for config in own.configs for kind in _kinds(config)))

    def order(row: Row) -> tuple[Any, ...]:
        kind = kinds.index(row["corruption"]) if row["corruption"] in kinds else -1  # clean first
        method = place.get(row["method"], len(place))
        return method, row["direction"], row["seed"], kind, row["severity"]

    if shares:
        own.rows.sort(key=order)


def _kinds(config: Mapping[str, Any]) -> list[str]:
    corruptions = config.get("corruptions")
    found = corruptions if isinstance(corruptions, Mapping) else {}
    return [str(kind) for name in ("image", "text") for kind in found.get(name, ())]


def _listed(config: Mapping[str, Any]) -> list[str]:
    names = [str(name) for name in config.get("method", ())]
    return names + [f"{name}{REPAIRED}" for name in names]
