"""From a method's name and settings to its objective."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from reex_jax.adaptation.defaults import METHODS
from reex_jax.adaptation.objective import Objective
from reex_jax.adaptation.settings import SHARED, AdaptSettings
from reex_jax.errors import UserError, unknown

Factory = Callable[..., Objective]


def find_method(method: str) -> Factory:
    """The function that makes a method's objective; its keyword arguments are the settings.

    Args:
        method: a name in METHODS, or "module:function" of your own (see docs/extending.md).

    Raises:
        UserError: an unknown name, a module that cannot be imported, or no such function in it.
    """
    if not isinstance(method, str) or ":" not in method:
        if method not in METHODS:
            raise unknown("method", method, METHODS)
        method = METHODS[method]
    module, _, name = method.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"method {method!r}: {error}; write module:function, and run where Python finds it"
        ) from error
    if not callable(found):
        raise UserError(f"method {method!r} is no function that makes an Objective")
    return found


def own_settings(method: str) -> dict[str, Any]:
    """The settings that belong to a method alone, with their defaults.

    Raises:
        UserError: see `find_method`; or a setting without default or with a shared one's name.
    """
    found, settings = find_method(method), {}
    try:
        signature = inspect.signature(found)
    except ValueError as error:  # some built-in types have none
        raise UserError(f"method {method!r} is no function that makes an Objective") from error
    for name, parameter in signature.parameters.items():
        if parameter.default is inspect.Parameter.empty or name in SHARED:
            raise UserError(
                f"method {method!r}: its setting {name!r} needs a default and a name of its own"
            )
        settings[name] = parameter.default
    return settings


def make_method(method: str, settings: Mapping[str, Any]) -> tuple[Objective, AdaptSettings]:
    """A method's objective and the shared settings, from one flat mapping of both.

    Args:
        method: see `find_method`.
        settings: names of `AdaptSettings` and of the method's own; others have their defaults.

    Raises:
        UserError: an unknown method or setting (the nearest name is suggested), or a value that
            is not allowed.
    """
    own, shared = own_settings(method), {field.name for field in fields(AdaptSettings)}
    for name in settings:
        if name not in own and name not in shared:
            raise unknown(f"setting of method {method!r}:", name, [*own, *shared])
    objective = find_method(method)(**{n: v for n, v in settings.items() if n in own})
    if not isinstance(objective, Objective):
        raise UserError(f"method {method!r} made a {type(objective).__name__}, not an Objective")
    return objective, AdaptSettings(**{n: v for n, v in settings.items() if n in shared})
