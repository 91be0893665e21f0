"""Settings, environment and commands of the folders that a report shows."""

import json
import shlex
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from reex_jax.reporting.joined import Results
from reex_jax.reporting.page.tables import listed
from reex_jax.settings.experiment import Experiment


def about(results: Results) -> str:
    """A block for each folder; equal ones would only repeat each other."""
    parts = []
    seen: list[Any] = []
    for folder, config, environment in zip(
        results.folders, results.configs, results.environments, strict=True
    ):
        parts.append(f"<h3>{escape(str(folder.path))}</h3>")
        command = environment.get("command")
        if isinstance(command, list):
            line = shlex.join(["python", "-m", "reex_jax.main", *map(str, command)])
            parts.append(f"<pre>{escape(line)}</pre>")
        own = [config, environment.get("versions"), environment.get("git")]
        if own in seen:
            parts.append('<p class="soft">Settings and environment as above.</p>')
            continue
        seen.append(own)
        parts.append(listed(dict(_differing(config)), "Settings that differ from the default"))
        parts.append(listed(dict(_environment(environment)), "Environment"))
        whole = json.dumps(config, indent=1, sort_keys=True)
        parts.append(
            f"<details><summary>All settings</summary><pre>{escape(whole)}</pre></details>"
        )
    return "".join(parts)


def _differing(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    plain = json.loads(json.dumps(Experiment().to_dict()))
    yield from _below(config, plain, "")


def _below(values: Any, plain: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(values, Mapping) and isinstance(plain, Mapping) and plain:
        for name, value in values.items():
            yield from _below(value, plain.get(name), f"{key}.{name}" if key else name)
    elif values != plain:
        text = json.dumps(values)
        yield key, text if len(text) <= 600 else f"{text[:600]} ..."


def _environment(environment: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in environment.items():
        if name in ("identity", "command") or value is None:
            continue
        if isinstance(value, Mapping):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        yield name, str(value)
