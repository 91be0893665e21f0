"""What every class of settings is built from: fields with a meaning and a check, and their tree.

    @dataclass(frozen=True)
    class Blur(Settings):
        "How pictures are blurred."

        radius: float = setting(2.0, "in pixels", number(0, 50))

`Blur(radius=-1)` raises a UserError; `Blur().raduis` is a type error.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, cast

from reex_jax.errors import UserError
from reex_jax.settings.checks import Check, flag, shown, unknown_key

T = TypeVar("T")


def setting(default: T, meaning: str, check: Check = flag, *, counted: bool = True) -> T:
    """A field of a class of settings.

    Args:
        default: its value where none is given.
        meaning: one line for `--help`, with the unit.
        check: refuses impossible values.
        counted: False for what changes no number of a run: where files lie, how many workers.
    """
    metadata = {"meaning": meaning, "check": check, "counted": counted}
    made: Any = field(default=default, metadata=metadata)
    return cast(T, made)


def section(factory: Callable[[], T], meaning: str) -> T:
    """A field that holds settings of its own.

    Args:
        factory: makes its default; a class of settings, mostly.
        meaning: one line for `--help`.
    """
    made: Any = field(default_factory=factory, metadata={"meaning": meaning})
    return cast(T, made)


class Entry(NamedTuple):
    """One setting of a tree, for help and checks.

    Attributes:
        key: written with dots.
        value: what it is.
        meaning: one line.
        check: what it may be.
        counted: whether it changes numbers.
    """

    key: str
    value: Any
    meaning: str
    check: Check
    counted: bool


@dataclass(frozen=True)
class Settings:
    """Settings that are checked when they are made, each by its own check and all together.

    Lists become tuples, whole numbers become floats where the field is one, and `~` in a path
    becomes the home folder, so that equal settings are equal and hashable.
    """

    example: ClassVar[str] = ""
    """A file that has such settings, for messages."""

    def __post_init__(self) -> None:
        """Checks every value, then `check_together`.

        Raises:
            UserError: a value that is not allowed; the message names it and what is.
        """
        for one in fields(self):
            value = getattr(self, one.name)
            if "check" not in one.metadata:
                _check_section(one.name, value, one.default_factory)
                continue
            check = one.metadata["check"]
            check(one.name, value)
            object.__setattr__(self, one.name, check.plain(_plain(value, one.type)))
        self.check_together()

    def check_together(self) -> None:
        """Refuses values that do not fit each other; classes with such values override it."""

    @classmethod
    def from_dict(cls, values: Any, prefix: str = "") -> Self:
        """Settings from nested mappings; what is left out has its default.

        Args:
            values: name -> value, or a mapping again where a section stands.
            prefix: the key of the whole with a dot behind it, for messages.

        Raises:
            UserError: no mapping, an unknown key (the nearest is suggested), or an impossible
                value; the message has the whole key.
        """
        return _replaced(cls(), values, prefix, (*cls._all_keys(prefix),))

    @classmethod
    def _all_keys(cls, prefix: str) -> Iterator[str]:
        return (entry.key for entry in cls().entries(prefix))

    def replaced(self, values: Any, prefix: str = "") -> Self:
        """A copy with other values, from nested mappings; see `from_dict`."""
        return _replaced(self, values, prefix, tuple(e.key for e in self.entries(prefix)))

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Every setting of the tree, in the order of the classes; keys begin with `prefix`."""
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Settings):
                yield from value.entries(f"{prefix}{one.name}.")
            elif "check" in one.metadata:
                meta = one.metadata
                yield Entry(
                    prefix + one.name, value, meta["meaning"], meta["check"], meta["counted"]
                )

    def to_dict(self) -> dict[str, Any]:
        """Nested plain dictionaries, every value in them."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {k: v.to_dict() if isinstance(v, Settings) else v for k, v in values.items()}


def _check_section(name: str, value: Any, factory: Any) -> None:
    wanted = factory() if factory is not MISSING else None
    if wanted is not None and not isinstance(value, type(wanted)):
        raise UserError(f"{name} is {shown(value)}; it must be {type(wanted).__name__}(...)")


def _plain(value: Any, kind: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_plain(item, None) for item in value)
    return float(value) if kind is float else value


S = TypeVar("S", bound=Settings)


def _replaced(base: S, values: Any, prefix: str, known: tuple[str, ...]) -> S:
    if not isinstance(values, Mapping):
        key = prefix.rstrip(".") or "the configuration"
        raise UserError(f"{key} is {shown(values)}; it must hold keys and values")
    by_name = {one.name: one for one in fields(base)}
    changed: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        if not isinstance(name, str) or name not in by_name:
            raise unknown_key(key, known)
        own = getattr(base, name)
        if isinstance(own, Settings):
            changed[name] = own.replaced(value, f"{key}.")
        else:
            by_name[name].metadata["check"](key, value)
            changed[name] = value
    current = {name: getattr(base, name) for name in by_name}
    return type(base)(**(current | changed))
