"""The files that a method's code lies in."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import reex_jax
from reex_jax.errors import UserError
from reex_jax.settings.methods import METHODS

_METHODS = "reex_jax.adaptation.methods"
_INSTALLED = ("site-packages", "dist-packages")


def method_sources(method: str) -> list[Path]:
    """The file of a method, and those that it is built on, in the order of their modules' names.

    Of a built-in method these are the other methods that it imports, since the rest of the package
    counts anyway; of the user's own all modules that it imports, and that these import, as far as
    they are neither installed nor Python's.

    Args:
        method: a name in METHODS, or "module:function", which can be imported.

    Raises:
        UserError: the module lies in no file, as what was typed into an interactive session.
    """
    start = METHODS.get(method, method).partition(":")[0]
    todo, done = [start], {}
    while todo:
        name = todo.pop()
        if name in done or not (name == start or _is_own(name)):
            continue
        path = _file(name)
        if path is None:
            continue
        done[name] = path
        todo += _imports(name, path)
        todo.append(name.rpartition(".")[0])  # the package, whose file is run first
    if start not in done:
        raise UserError(
            f"method {method!r}: its code lies in no file, so nobody can tell whether a run's "
            "numbers are still its own; write it into a module, and name it as module:function"
        )
    return [done[name] for name in sorted(done)]


def _is_own(module: str) -> bool:
    """Whether a module is a method of ours, or neither installed nor Python's."""
    top = module.partition(".")[0]
    if top == reex_jax.__name__:
        return module.startswith(f"{_METHODS}.")
    if top in sys.stdlib_module_names:
        return False
    spec = _spec(top)
    places = [spec.origin] if spec and spec.origin else []
    places += (spec and spec.submodule_search_locations) or []
    return bool(places) and not any(part in _INSTALLED for p in places for part in Path(p).parts)


def _spec(module: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(module) if module else None
    except Exception:  # `from module import function`, or whatever stops a package's import
        return None


def _file(module: str) -> Path | None:
    """The file that a module is read from; None for a built-in one, and where there is none."""
    if module == "__main__":  # the script that was started may have no spec
        origin = getattr(sys.modules[module], "__file__", None)
    else:
        spec = _spec(module)
        origin = spec.origin if spec else None
    path = Path(origin) if origin else None
    return path if path and path.is_file() else None


def _imports(module: str, path: Path) -> Iterator[str]:
    """Names of what a file imports, in functions too; some are of functions, not of modules."""
    if path.suffix != ".py":
        return
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # never imported, or the method would not run
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")
                above = above[: len(above) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
