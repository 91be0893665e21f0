"""Small checks from which the checks of whole configurations are made.

A check takes a key and its value and raises a UserError that names both if the value is wrong.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reex_jax.errors import UserError, unknown

Check = Callable[[str, Any], None]
LARGE = 2**31 - 1
"""The largest whole number that a setting may have."""


def one_of(allowed: Iterable[str]) -> Check:
    """One of these names."""
    known = tuple(allowed)

    def check(key: str, value: Any) -> None:
        if value not in known:
            raise unknown(f"value of {key}:", value, known)

    return check


def some_of(allowed: Iterable[str], empty: bool) -> Check:
    """A list of these names, each at most once; `empty`: whether it may be empty."""
    one = one_of(allowed)

    def check(key: str, value: Any) -> None:
        _list(key, value, empty)
        for item in value:
            _one_name(key, item)
            one(key, item)

    return check


def _list(key: str, value: Any, empty: bool) -> None:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise UserError(f"{key} is {value!r}; write a list, for example --config.{key}=\"('a',)\"")
    if not value and not empty:
        raise UserError(f"{key} is empty; give at least one value")
    if any(value.count(item) > 1 for item in value):
        raise UserError(f"{key} has a value twice: {value!r}; give each once")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def names(key: str, value: Any) -> None:
    """A list of strings, each at most once, at least one."""
    _list(key, value, empty=False)
    for item in value:
        _one_name(key, item)
        filled(key, item)


def _one_name(key: str, item: Any) -> None:
    if isinstance(item, str) and "," in item:  # ml_collections takes a,b for one name
        parts = tuple(name.strip() for name in item.split(","))
        raise UserError(f'{key} has {item!r} as one name; write --config.{key}="{parts}"')


def integer(low: int, high: int = LARGE) -> Check:
    """A whole number from `low` to `high`, both included."""

    def check(key: str, value: Any) -> None:
        if not _is_integer(value) or not low <= value <= high:
            raise UserError(f"{key} is {value!r}; it must be a whole number in {low}..{high}")

    return check


def integers(low: int, high: int = LARGE) -> Check:
    """A list of different whole numbers from `low` to `high`, at least one."""
    one = integer(low, high)

    def check(key: str, value: Any) -> None:
        _list(key, value, empty=False)
        for item in value:
            one(key, item)

    return check


def number(low: float, high: float, *, above: bool = False) -> Check:
    """A number from `low` to `high`; `above`: `low` itself is not allowed."""
    wanted = f"above {low} and at most {high}" if above else f"in {low}..{high}"

    def check(key: str, value: Any) -> None:
        fits = _is_integer(value) or isinstance(value, float)
        if not fits or not low <= value <= high or (above and value == low):
            raise UserError(f"{key} is {value!r}; it must be a number {wanted}")

    return check


def numbers(count: int, one: Check) -> Check:
    """A list of exactly `count` values, each of which passes `one`."""

    def check(key: str, value: Any) -> None:
        if not isinstance(value, list | tuple) or len(value) != count:
            raise UserError(f"{key} is {value!r}; it must be a list of {count} numbers")
        for item in value:
            one(key, item)

    return check


def text(key: str, value: Any) -> None:
    """A string."""
    if not isinstance(value, str):
        raise UserError(f"{key} is {value!r}; it must be a text")


def filled(key: str, value: Any) -> None:
    """A string that is not empty."""
    text(key, value)
    if not value.strip():
        raise UserError(f"{key} is empty; give a value")


def folder_name(key: str, value: Any) -> None:
    """A string that names a folder, not a path."""
    text(key, value)
    if not value or any(c in value for c in '/\\:*?"<>|') or value.startswith("."):
        raise UserError(f"{key} is {value!r}; it names a folder: no path signs, not empty")


def flag(key: str, value: Any) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise UserError(f"{key} is {value!r}; it must be True or False")


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def check_values(values: Mapping[str, Any], checks: Mapping[str, Check], example: str) -> None:
    """Refuses unknown and missing keys, then runs every check.

    Args:
        values: a configuration, nested.
        checks: "key.of.a.value" -> its check.
        example: a file that has every key.

    Raises:
        UserError: naming the key, its value and what is allowed.
    """
    flat = _flat(values)
    for key in flat:
        if key not in checks:
            raise _unknown_key(key, checks)
    missing = [key for key in checks if key not in flat]
    if missing:
        raise UserError(f"config keys are missing: {', '.join(missing)}; see {example}")
    for key, check in checks.items():
        check(key, flat[key])


def _unknown_key(key: str, known: Iterable[str]) -> UserError:
    """Lists only what stands beside the key: `data.sed` has the keys below `data` beside it."""
    known, parent = tuple(known), key
    while parent:
        parent = parent.rpartition(".")[0]
        if any(name.startswith(f"{parent}.") for name in known):
            break
    prefix = f"{parent}." if parent else ""
    beside = [name.removeprefix(prefix) for name in known if name.startswith(prefix)]
    listed = {prefix + (f"{n.split('.')[0]}.*" if "." in n else n) for n in beside}
    return unknown("config key", key, known, listed)


def check_arguments(argv: Sequence[str], keys: Iterable[str], example: str) -> None:
    """Refuses what absl would answer with a traceback; call it before the flags are parsed.

    Args:
        argv: the command line, its first item being the program.
        keys: every `--config.key` that exists.
        example: a configuration file that exists.

    Raises:
        UserError: a `--config.key` that does not exist, or a configuration file that does not.
    """
    known = tuple(keys)
    for position, argument in enumerate(argv[1:], 1):
        key = re.match(r"--?(?:no)?config\.([^=]+)", argument)
        if key and key[1] not in known:
            raise _unknown_key(key[1], known)
        file = re.match(r"--?config(?:=(.*))?$", argument)
        if file:
            path = file[1] if file[1] is not None else "".join(argv[position + 1 : position + 2])
            if not Path(path.split(":")[0]).is_file():
                raise UserError(
                    f"no configuration file {path!r}; name one of the folder experiments/, for "
                    f"example --config={example}"
                )
