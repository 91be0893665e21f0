"""From what a user typed to settings: an experiment's file, single values, and options."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from absl import flags
from ml_collections import ConfigDict, config_flags

from reex_jax.commands.experiment_file import load_experiment
from reex_jax.errors import UserError, unknown
from reex_jax.files import home
from reex_jax.settings.checks import unknown_key
from reex_jax.settings.fields import Settings


@dataclass(frozen=True)
class Option:
    """A flag of a command beside its settings.

    Attributes:
        name: behind the dashes.
        meaning: one line for help.
        required: whether it must be given.
        several: whether it may be given more than once.
        path: whether it names a file or folder, with `~` for the home folder.
    """

    name: str
    meaning: str
    required: bool = False
    several: bool = False
    path: bool = False


S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Arguments:
    """A command line that was read.

    Attributes:
        settings: what the experiment's file and single values say; None for a command without.
        options: name -> text, or a list of texts for an option that may be given more than once.
        places: what was typed without dashes, for a command that takes such.
        given: what the user typed, for commands that messages name.
    """

    settings: Any
    options: Mapping[str, Any]
    given: tuple[str, ...]
    places: tuple[str, ...] = ()


def parse_arguments(
    given: Sequence[str],
    kind: type[Settings] | None,
    flag: str,
    example: str,
    options: Sequence[Option],
    places: str = "",
) -> Arguments:
    """Reads a command line.

    Args:
        given: what the user typed behind the program.
        kind: the class of the settings, if there are any.
        flag: what single values begin with: "config" in --config.seeds=3.
        example: a file of settings, for messages; "" where only single values are given.
        options: the other flags.
        places: what arguments without dashes are called; "" where there may be none.

    Raises:
        UserError: an argument, key or option that does not exist, a value that cannot be, a file
            that is not there or not an experiment, or an option that is missing.
    """
    rest, file = without_file(given, flag) if example else (list(given), None)
    if example and file is None:
        raise UserError(f"--{flag} is missing; name a file, for example --{flag}={example}")
    settings = None
    if kind is not None:
        settings = load_experiment(file, kind, example) if file is not None else kind()
    values = flags.FlagValues()
    if settings is not None:
        _check_keys(rest, flag, settings, example)
        # The whole is no argument, only the values below it are.
        holder = config_flags.DEFINE_config_dict(
            flag, ConfigDict(settings.to_dict()), flag_values=values, sys_argv=rest
        )
    for option in options:
        define = flags.DEFINE_multi_string if option.several else flags.DEFINE_string
        default: Any = [] if option.several else ""
        define(option.name, default, option.meaning, flag_values=values)
    try:
        unparsed = values(["reex_jax", *rest])[1:]
    except flags.Error as error:
        raise UserError(_sentence(error, options, flag)) from error
    if unparsed and not places:
        raise UserError(f"unexpected arguments: {' '.join(unparsed)}; options begin with --")
    found = {option.name: values[option.name].value for option in options}
    for option in options:
        if option.path and str(found[option.name]).startswith("~"):
            found[option.name] = str(home(str(found[option.name])))
        if option.required and not found[option.name]:
            raise UserError(f"--{option.name} is missing; {option.meaning}")
    if settings is not None:
        prefix = "" if example else f"{flag}."
        settings = settings.replaced(holder.value.to_dict(), prefix)
    return Arguments(settings, found, tuple(given), tuple(unparsed))


def without_file(given: Sequence[str], flag: str) -> tuple[list[str], str | None]:
    """The arguments without --config=FILE or --config FILE, and FILE; the last one counts."""
    rest, file, items = [], None, iter(given)
    for item in items:
        match = re.fullmatch(rf"--?{flag}(?:=(.*))?", item, re.DOTALL)
        if match is None:
            rest.append(item)
        else:
            file = match[1] if match[1] is not None else next(items, "")
    return rest, file


def _check_keys(given: Sequence[str], flag: str, settings: Settings, example: str) -> None:
    """Refuses single values of keys that do not exist, with the nearest that does."""
    prefix = "" if example else f"{flag}."
    known = [entry.key for entry in settings.entries(prefix)]
    found = settings.to_dict()
    for item in given:
        key = re.match(rf"--?(?:no)?{flag}\.([^=]+)", item)
        if key and prefix + key[1] not in known and not _below(found, key[1]):
            if example:
                raise unknown_key(key[1], known)
            raise unknown("key", prefix + key[1], known)


def _below(values: Any, key: str) -> bool:
    """Whether nested values have a key, written with dots."""
    for name in key.split("."):
        if not isinstance(values, Mapping) or name not in values:
            return False
        values = values[name]
    return not isinstance(values, Mapping)


def _sentence(error: flags.Error, options: Sequence[Option], flag: str) -> str:
    """What absl says, in one line."""
    if isinstance(error, flags.UnrecognizedFlagError):
        names = [f"--{option.name}" for option in options]
        return str(unknown("option", f"--{error.flagname}", [f"--{flag}.KEY", *names]))
    return " ".join(str(error).split())
