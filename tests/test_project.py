"""What holds for the project as a whole: documentation, sizes, layers, and the lock."""

import ast
import importlib.util
import itertools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "reex_jax").rglob("*.py"))
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.py"))

# Lowest first. A part imports from itself and from the lines above its own, never sideways.
LAYERS = (
    {"errors"},
    {"arrays", "files", "hosts", "named", "progress", "redaction"},
    {"checkpoints", "corruptions"},
    {"settings"},
    {"models"},
    {"retrieval"},
    {"datasets"},
    {"gsr"},
    {"adaptation"},
    {"index"},
    {"queries"},
    {"reporting", "pretraining"},
    {"benchmark", "service"},
    {"commands"},
    {
        "main",
        "pretrain",
        "ablation",
        "plan",
        "report",
        "serve",
        "gsr.__main__",
        "index.__main__",
        "__main__",
    },
)
RANKS = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}


def part_of(path: Path) -> str:
    """The layer's part that a module belongs to; a part's command stands above its library."""
    inside = path.relative_to(ROOT / "reex_jax").with_suffix("").parts
    return ".".join(inside) if len(inside) > 1 and inside[-1] == "__main__" else inside[0]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> set[str]:
    """Every module that a file imports, in functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: write imports in full"
            found.add(node.module)
    return found


def requirements(file: str) -> list[Requirement]:
    lines = (ROOT / file).read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_are_documented_and_short(path):
    text = path.read_text("utf-8")
    assert not text or ast.get_docstring(ast.parse(text)), "begin with a docstring"
    assert len(text.splitlines()) <= 300


def test_every_part_has_its_layer():
    parts = set(map(part_of, MODULES))
    assert parts - {"__init__"} == set(RANKS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_only_downwards(path):
    part = part_of(path)
    if part == "__init__":  # the public names, loaded on first use
        return
    for module in imported(path):
        if module.startswith("reex_jax."):
            other = module.split(".")[1]
            assert other == part or RANKS[other] < RANKS[part], f"imports {module}"


# What may be missing: each with the file that asks for it.
OPTIONAL = {"torch": "pyproject.toml", "apache_beam": "requirements-beam.txt"}


def test_every_import_is_required():
    homes = packages_distributions()
    needed = set()
    for module in set(itertools.chain.from_iterable(map(imported, MODULES))):
        top = module.split(".")[0]
        if top in OPTIONAL:
            name = top.replace("_", "-")
            assert re.search(rf"\b{name}\b", (ROOT / OPTIONAL[top]).read_text("utf-8"))
        elif top not in sys.stdlib_module_names and top != "reex_jax":
            needed |= {canonicalize_name(home) for home in homes[top]}
    listed = {canonicalize_name(line.name) for line in requirements("requirements.txt")}
    assert needed <= listed


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_satisfies_every_requirement(python):
    system = {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    locked = {}
    for line in requirements("requirements-lock.txt"):
        if line.marker is None or line.marker.evaluate(system):
            assert re.fullmatch(r"==[^,*]+", str(line.specifier)), f"{line} is no exact version"
            assert canonicalize_name(line.name) not in locked, f"{line.name} is locked twice"
            locked[canonicalize_name(line.name)] = str(line.specifier).removeprefix("==")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for line in [*requirements("requirements.txt"), *map(Requirement, extras["dev"])]:
        assert line.specifier.contains(locked[canonicalize_name(line.name)]), line
    assert not {"torch", "tensorflow", "tensorflow-cpu"} & set(locked)
    # 3.11 has no newer line of JAX; 3.12 must be tried with what its users get.
    assert locked["jax"].startswith("0.10." if python == "3.11" else "0.12.")


def test_the_lock_names_no_place():
    assert not re.search(r"://|@|--|\s/", (ROOT / "requirements-lock.txt").read_text("utf-8"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name_of)
def test_experiments_say_how_to_run_them(path):
    module = ast.parse(path.read_text("utf-8"))
    usage = rf"python -m (reex_jax\.\w+)\s+(\\\s+)?--config=experiments/{path.name}\b"
    command = re.search(usage, ast.get_docstring(module))
    assert command, "the docstring must give the exact command"
    assert importlib.util.find_spec(command[1])


BELOW = [path for path in MODULES if "commands" not in path.parts]


@pytest.mark.parametrize("path", BELOW, ids=name_of)
def test_nothing_below_the_commands_knows_command_lines(path):
    if part_of(path) == "__main__":
        return
    assert not imported(path) & {"ml_collections", "absl", "absl.flags", "argparse"}
    assert "sys.argv" not in path.read_text("utf-8")


def test_ci_runs_the_test_command_of_the_makefile():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111, "must be executable"
    assert "make test" in script.read_text("utf-8")
