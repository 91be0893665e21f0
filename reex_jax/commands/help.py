"""What `--help` prints, all of it from the classes of settings."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill

from reex_jax.commands.arguments import Option
from reex_jax.settings.fields import Entry, Settings

_WIDTH = 96


def command_help(
    name: str,
    summary: str,
    settings: Mapping[str, Settings],
    options: Sequence[Option],
    sweeps: Mapping[str, str],
) -> str:
    """A command's page: how it is called, its options, and each key with all that is known of it.

    Args:
        name: of the command.
        summary: what it does, one line.
        settings: flag -> the defaults of the settings below it.
        options: the other flags.
        sweeps: of the file that is named: sweep -> what it changes.
    """
    parts = [f"python -m reex_jax {name}: {summary}"]
    if "config" in settings:
        parts.append(
            "  --config=FILE[:SWEEP,SWEEP]  an experiment (experiments/); sweeps change it:\n"
            "                               --config=FILE --help lists those of a file\n"
            "  --config.KEY=VALUE           changes a single value"
        )
    if sweeps:
        parts.append("\n".join(["Sweeps:", *(f"  {n:22}{text}" for n, text in sweeps.items())]))
    parts += [f"  --{o.name}=VALUE  {o.meaning}{_notes(o)}" for o in options]
    for flag, defaults in settings.items():
        prefix = "--config." if flag == "config" else f"--{flag}."
        parts.append("\n".join(_lines(defaults.entries(), prefix)))
    return "\n\n".join(parts)


def _notes(option: Option) -> str:
    notes = ["required"] * option.required + ["may be repeated"] * option.several
    return f" ({', '.join(notes)})" if notes else ""


def _lines(entries: Iterable[Entry], prefix: str) -> list[str]:
    """Two sorts of queries have the same keys: these are shown once, as image|text."""
    lines: list[str] = []
    for entry in entries:
        if ".text." in entry.key and entry.key.startswith("settings."):
            continue
        key = entry.key
        if key.startswith("settings."):
            key = key.replace(".image.", ".(image|text).")
        kind = type(entry.value).__name__.replace("tuple", "list").replace("str", "text")
        default = "" if len(repr(entry.value)) > 60 else f", default {entry.value!r}"
        about = f"{entry.meaning}; {kind}{default}; allowed: {entry.check.allowed}"
        indent = 6 * " "
        text = fill(about, _WIDTH, initial_indent=indent, subsequent_indent=indent)
        lines += [f"  {prefix}{key}", text]
    return lines
