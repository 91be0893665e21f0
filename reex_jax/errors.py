"""The one exception for mistakes that the user can mend."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user gave is wrong: says what, where (file, key, id) and what to do.

    Commands print its message without a traceback; library users catch it as ValueError.
    """


def unknown(kind: str, name: object, allowed: Iterable[str]) -> UserError:
    """A UserError for a name that is not among `allowed`, with the nearest one suggested.

    Args:
        kind: what the name stands for, for example "corruption" or "config key".
        name: what was given.
        allowed: every name that exists.
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" did you mean {near[0]!r}?" if near else ""
    return UserError(f"unknown {kind} {name!r};{hint} allowed: {', '.join(names)}")
