"""Small checks from which those of whole configurations are made.

A check takes a key and its value and raises a UserError that names both if the value is wrong. It
stands any value: an array, a mapping, an object of somebody's own.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from reex_jax.errors import UserError, unknown
from reex_jax.files import home

LARGE = 2**31 - 1
"""The largest whole number that a setting may have."""
LARGEST = math.nextafter(math.inf, 0)
"""The largest finite number."""


@dataclass(frozen=True)
class Check:
    """What a value must be.

    Attributes:
        allowed: for people, for example "a whole number in 0..5".
        test: (key, value) -> nothing; raises a UserError.
        plain: what settings hold for a value that passed.
    """

    allowed: str
    test: Callable[[str, Any], None]
    plain: Callable[[Any], Any] = lambda value: value

    def __call__(self, key: str, value: Any) -> None:
        """Raises a UserError that names the key and the value, if the value is wrong."""
        self.test(key, value)


def shown(value: Any) -> str:
    """A value as a message shows it: on one line and not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def one_of(allowed: Iterable[str]) -> Check:
    """One of these names."""
    known = tuple(allowed)

    def test(key: str, value: Any) -> None:
        if not isinstance(value, str) or value not in known:
            raise unknown(
                f"value of {key}:", value if isinstance(value, str) else shown(value), known
            )

    return Check(" | ".join(name or "''" for name in known), test)


def some_of(allowed: Iterable[str], empty: bool) -> Check:
    """A list of these names, each at most once; `empty`: whether it may be empty."""
    known = tuple(allowed)
    one = one_of(known)

    def test(key: str, value: Any) -> None:
        _list(key, value, empty, partial(_name, key, one))

    least = "" if empty else ", at least one"
    return Check(f"a list of {', '.join(known)}{least}", test)


def _list(key: str, value: Any, empty: bool, one: Callable[[Any], Any]) -> None:
    if not isinstance(value, list | tuple):
        raise UserError(
            f"{key} is {shown(value)}; write a list, for example --config.{key}=\"('a',)\""
        )
    if not value and not empty:
        raise UserError(f"{key} is empty; give at least one value")
    for item in value:
        one(item)
    if any(value.count(item) > 1 for item in value):
        raise UserError(f"{key} has a value twice: {shown(value)}; give each once")


def is_integer(value: Any) -> bool:
    """Whether a value is a whole number of Python; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _names(key: str, value: Any) -> None:
    _list(key, value, False, partial(_name, key, filled))


names = Check("a list of names, at least one", _names)
"""A list of strings, each at most once, at least one."""


def _name(key: str, check: Check, item: Any) -> None:
    if isinstance(item, str) and "," in item:  # ml_collections takes a,b for one name
        parts = tuple(name.strip() for name in item.split(","))
        raise UserError(f'{key} has {item!r} as one name; write --config.{key}="{parts}"')
    check(key, item)


def integer(low: int, high: int = LARGE) -> Check:
    """A whole number from `low` to `high`, both included."""

    def test(key: str, value: Any) -> None:
        if not is_integer(value) or not low <= value <= high:
            raise UserError(f"{key} is {shown(value)}; it must be a whole number in {low}..{high}")

    top = "" if high == LARGE else str(high)
    return Check(f"a whole number in {low}..{top}", test)


def integers(low: int, high: int = LARGE) -> Check:
    """A list of different whole numbers from `low` to `high`, at least one."""
    one = integer(low, high)

    def test(key: str, value: Any) -> None:
        _list(key, value, False, partial(one, key))

    return Check(f"a list, each {one.allowed}", test)


def number(low: float, high: float = LARGEST, *, above: bool = False) -> Check:
    """A number from `low` to `high`; `above`: `low` itself is not allowed."""
    if high == LARGEST:
        wanted = f"above {low:g}, and finite" if above else f"from {low:g}, and finite"
    else:
        wanted = f"above {low:g} and at most {high:g}" if above else f"in {low:g}..{high:g}"

    def test(key: str, value: Any) -> None:
        fits = is_integer(value) or isinstance(value, float)
        if not fits or not low <= value <= high or (above and value == low):
            raise UserError(f"{key} is {shown(value)}; it must be a number {wanted}")

    return Check(f"a number {wanted}", test)


def numbers(count: int, one: Check) -> Check:
    """A list of exactly `count` values, each of which passes `one`."""

    def test(key: str, value: Any) -> None:
        if not isinstance(value, list | tuple) or len(value) != count:
            raise UserError(f"{key} is {shown(value)}; it must be a list of {count} numbers")
        for item in value:
            one(key, item)

    return Check(f"a list of {count}, each {one.allowed}", test)


def _text(key: str, value: Any) -> None:
    if not isinstance(value, str):
        raise UserError(f"{key} is {shown(value)}; it must be a text")


text = Check("a text", _text)
"""A string."""


def _filled(key: str, value: Any) -> None:
    text(key, value)
    if not value.strip():
        raise UserError(f"{key} is empty; give a value")


filled = Check("a text that is not empty", _filled)
"""A string that is not empty."""


def _home(value: str) -> str:
    """`~` is the home folder; an address such as a hub id stays as it is."""
    return str(home(value)) if value.startswith("~") else value


path = Check("a path", _text, _home)
"""A string that names a file or folder, or nothing."""
filled_path = Check("a path that is not empty", _filled, _home)
"""A string that names a file or folder."""


def _folder_name(key: str, value: Any) -> None:
    text(key, value)
    if not value or any(c in value for c in '/\\:*?"<>|') or value.startswith("."):
        raise UserError(f"{key} is {shown(value)}; it names a folder: no path signs, not empty")


folder_name = Check("the name of a folder", _folder_name)
"""A string that names a folder, not a path."""


def or_empty(check: Check) -> Check:
    """An empty string, or what passes `check`."""

    def test(key: str, value: Any) -> None:
        if not isinstance(value, str) or value:
            check(key, value)

    return Check(f"{check.allowed}, or empty", test)


def _flag(key: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise UserError(f"{key} is {shown(value)}; it must be True or False")


flag = Check("True | False", _flag)
"""True or False."""


def unknown_key(key: str, known: Iterable[str]) -> UserError:
    """For a key that does not exist; lists what stands beside it.

    `data.sed` has the keys below `data` beside it.

    Args:
        key: written with dots.
        known: every key that exists.
    """
    known, parent = tuple(known), key
    while parent:
        parent = parent.rpartition(".")[0]
        if any(name.startswith(f"{parent}.") for name in known):
            break
    prefix = f"{parent}." if parent else ""
    beside = [name.removeprefix(prefix) for name in known if name.startswith(prefix)]
    listed = {prefix + (f"{n.split('.')[0]}.*" if "." in n else n) for n in beside}
    return unknown("config key", key, known, listed)
