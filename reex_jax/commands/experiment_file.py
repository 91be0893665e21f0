"""Files of experiments: plain Python with a function `get_config` that returns settings."""

import importlib.util
import inspect
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from ml_collections import ConfigDict

from reex_jax.errors import UserError
from reex_jax.files import home
from reex_jax.settings.checks import shown
from reex_jax.settings.fields import Settings

S = TypeVar("S", bound=Settings)


def shipped_experiments() -> Path:
    """The folder of the experiments that come with the package: in it, or beside its sources."""
    package = Path(__file__).parents[1]
    beside = package.parent
    in_sources = (beside / "pyproject.toml").is_file() and (beside / "experiments").is_dir()
    return (beside if in_sources else package) / "experiments"


def find_experiment(path: str, example: str = "experiments/scenes_c.py") -> str:
    """The file that is meant: as named, or a shipped one, which needs neither folder nor ending.

    Args:
        path: "experiments/scenes_c.py", which is found in any folder, or "scenes_c".
        example: a file that exists, for the message.

    Raises:
        UserError: there is no such file.
    """
    path = str(home(path)) if path.startswith("~") else path
    if Path(path).is_file():
        return path
    name = path.removeprefix("experiments/")
    folder = shipped_experiments()
    if name and "/" not in name:
        file = folder / f"{name.removesuffix('.py')}.py"
        if file.is_file():
            return str(file)
    shipped = ", ".join(sorted(file.stem for file in folder.glob("*.py")))
    raise UserError(
        f"no configuration file {path!r}; name one of your own, or one of the folder experiments/, "
        f"for example --config={example}; shipped: {shipped}"
    )


def load_experiment(name: str, kind: type[S], example: str) -> S:
    """The settings of a file.

    Args:
        name: a path, or the name of a shipped one, and sweeps of its own behind a colon:
            "experiments/coco_c.py:seeds,tcr", "coco_c:seeds".
        kind: what `get_config` must return; a mapping of what differs from its defaults is taken
            too.
        example: a file that exists, for messages.

    Raises:
        UserError: there is no such file, it is no Python, it fails, has no `get_config`, or returns
            something else; a value that is not allowed, or a sweep that does not exist.
    """
    path, _, sweeps = name.partition(":")
    path = find_experiment(path, example)
    found = _run(path, lambda: _get_config(path, sweeps))
    if isinstance(found, kind):
        return found
    if isinstance(found, ConfigDict):
        found = found.to_dict()
    if not isinstance(found, Mapping) or isinstance(found, Settings):
        raise UserError(
            f"{path}: get_config returned {shown(found)}; it must return {kind.__name__}(...)"
        )
    return kind.from_dict(found)


def sweeps_of(name: str) -> dict[str, str]:
    """Sweep -> the first line about it, of a file that says so in SWEEPS; {} for any other."""
    try:
        path = find_experiment(name.partition(":")[0])
    except UserError:
        return {}
    sweeps = getattr(_run(path, lambda: _module(path)), "SWEEPS", {})
    documented = {
        name: getattr(sweep, "func", sweep).__doc__ or "" for name, sweep in sweeps.items()
    }
    return {name: text.strip().partition("\n")[0] for name, text in documented.items()}


def _module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: no Python file; its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _get_config(path: str, sweeps: str) -> Any:
    make = getattr(_module(path), "get_config", None)
    if not callable(make):
        raise UserError(f"{path}: has no function get_config; see the files of experiments/")
    if not sweeps:
        return make()
    if not inspect.signature(make).parameters:
        raise UserError(f"{path}: has no sweeps, so nothing may stand behind the colon: {sweeps!r}")
    return make(sweeps)


def _run(path: str, work: Callable[[], Any]) -> Any:
    """What a file does; its own mistakes become one line that names the place."""
    try:
        return work()
    except UserError as error:
        message = str(error)
        raise UserError(message if message.startswith(path) else f"{path}: {message}") from error
    except SyntaxError as error:
        raise UserError(f"{path}: line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith(path)]
        where = f"line {own[-1].lineno}: " if own else ""
        raise UserError(f"{path}: {where}{type(error).__name__}: {shown(error)}") from error
