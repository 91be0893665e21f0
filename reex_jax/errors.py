"""The one exception for mistakes that the user can mend."""

import difflib
import unicodedata
from collections.abc import Iterable

_DIRECTIONS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Signs that make a terminal show a text in another order than it has."""


def printable(text: str) -> str:
    """The text with control characters escaped, for names that others have chosen.

    Line breaks stay. Halves of characters, as in file names that are no text, are escaped too.
    """
    return "".join(c.encode("unicode_escape").decode() if _hidden(c) else c for c in text)


def _hidden(char: str) -> bool:
    if char in "\n\t":
        return False
    return char in _DIRECTIONS or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")


class UserError(ValueError):
    """Something the user gave is wrong: says what, where (file, key, id) and what to do.

    Commands print its message without a traceback; library users catch it as ValueError. The
    message has no control characters, whatever file names and values it repeats.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message)))


def unknown(
    kind: str, name: object, allowed: Iterable[str], listed: Iterable[str] | None = None
) -> UserError:
    """A UserError for a name that is not among `allowed`, with the nearest one suggested.

    Args:
        kind: what the name stands for, for example "corruption" or "config key".
        name: what was given.
        allowed: every name that exists.
        listed: what to list instead, where these are too many to read.
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(names if listed is None else sorted(listed))
    return UserError(f"unknown {kind} {name!r};{hint} allowed: {shown}")
