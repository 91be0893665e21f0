"""The one exception for mistakes that the user can mend."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user gave is wrong: says what, where (file, key, id) and what to do.

    Commands print its message without a traceback; library users catch it as ValueError.
    """


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
