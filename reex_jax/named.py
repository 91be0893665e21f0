"""Functions that a user names as "package.module:name", so that nobody has to register them."""

import importlib
import traceback
from collections.abc import Callable
from typing import Any

from reex_jax.errors import UserError


def load_named(spec: str, what: str) -> Callable[..., Any]:
    """The function that is named.

    Args:
        spec: "package.module:name".
        what: for messages, for example "method 'mine:f'".

    Raises:
        UserError: a module that cannot be imported, whatever stops it, or that has no such
            function.
    """
    module, _, name = spec.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        reason = str(error)
    except SyntaxError as error:
        reason = f"{error.filename}, line {error.lineno}: {error.msg}"
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{place.filename}, line {place.lineno}: {type(error).__name__}: {error!s:.200}"
    else:
        if callable(found):
            return found
        reason = f"it is a {type(found).__name__}, no function"
    raise UserError(
        f"{what} cannot be loaded ({reason}); name a function as package.module:name, and run "
        "where Python finds its module"
    )
