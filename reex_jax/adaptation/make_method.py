"""From a method's name and settings to its objective."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from reex_jax.adaptation.objective import Objective
from reex_jax.errors import UserError, unknown
from reex_jax.named import load_named
from reex_jax.settings.adaptation import AdaptSettings
from reex_jax.settings.fields import Settings
from reex_jax.settings.methods import METHODS, Method, Unadapted

Factory = Callable[[Any], Objective]


def find_method(method: str) -> Factory:
    """The function that makes a method's objective from its settings.

    Args:
        method: a name in METHODS, or "module:function" of your own (see docs/extending.md).

    Raises:
        UserError: an unknown name, a module that cannot be imported, or no such function in it.
    """
    if not isinstance(method, str) or ":" not in method:
        if method not in METHODS:
            raise unknown("method", method, METHODS)
        method = METHODS[method]
    return load_named(method, f"method {method!r}")


def settings_class(method: str) -> type[Settings]:
    """The class of a method's own settings: the annotation of its function's first parameter.

    Raises:
        UserError: see `find_method`; or the annotation is no class of settings, or one with a
            setting that every method has.
    """
    found = find_method(method)
    try:
        (first, *_), hints = inspect.signature(found).parameters, get_type_hints(found)
    except (NameError, TypeError, ValueError):  # no parameter, no signature, a name not defined
        first, hints = "", {}
    kind = hints.get(first)
    if not isinstance(kind, type) or not issubclass(kind, Method | Unadapted):
        raise UserError(
            f"method {method!r}: its first parameter must be annotated with the class of its "
            "settings, a subclass of reex_jax.settings.methods.Method; see docs/extending.md"
        )
    if "__dataclass_fields__" not in vars(kind):
        raise UserError(f"method {method!r}: {kind.__name__} needs @dataclass(frozen=True)")
    for name in _names(kind) & _names(AdaptSettings):
        raise UserError(f"method {method!r}: its setting {name!r} needs a name of its own")
    return kind


def _names(kind: type[Settings]) -> set[str]:
    return {one.name for one in fields(kind)}


def make_method(
    method: str, settings: Mapping[str, Any]
) -> tuple[Objective, Settings, AdaptSettings]:
    """A method's objective, its own settings and the adapter's, from one flat mapping of both.

    Args:
        method: see `find_method`.
        settings: names of `AdaptSettings` and of the method's class; others have their defaults.

    Raises:
        UserError: an unknown method or setting (the nearest name is suggested), or a value that
            is not allowed.
    """
    kind = settings_class(method)
    known = _names(kind) | _names(AdaptSettings)
    for name in settings:
        if name not in known:
            raise unknown(f"setting of method {method!r}:", name, known)
    own, shared = (
        cls.from_dict({n: v for n, v in settings.items() if n in _names(cls)})
        for cls in (kind, AdaptSettings)
    )
    assert isinstance(shared, AdaptSettings)
    objective = find_method(method)(own)
    if not isinstance(objective, Objective):
        raise UserError(f"method {method!r} made a {type(objective).__name__}, not an Objective")
    return objective, own, shared
