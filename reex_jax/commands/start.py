"""How every command starts: its arguments become settings, its errors one line, its help a page.

python -m reex_jax COMMAND --config=FILE[:SWEEPS] --config.KEY=VALUE --OPTION=VALUE
"""

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from absl import flags, logging

from reex_jax.commands.arguments import Arguments, Option, parse_arguments, without_file
from reex_jax.commands.compile_cache import use_compile_cache
from reex_jax.commands.experiment_file import sweeps_of
from reex_jax.commands.help import command_help
from reex_jax.commands.processes import join, lost_process, refuse_several
from reex_jax.errors import UserError, unknown
from reex_jax.settings.fields import Settings
from reex_jax.settings.machine import Machine


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: what users type behind `python -m reex_jax`.
        summary: one line for the list of commands.
        work: "module:function" of this package, called with `Arguments`; imported when it starts,
            so that help and mistakes need no JAX.
        settings: "module:class" of what `flag` reads; "" for a command without.
        flag: "config" for an experiment's file and single values, else the prefix of values alone.
        example: a file of experiments/ that this command runs; "" where none is read.
        options: the flags beside.
        places: what it takes without dashes, for example "RESULTS..."; "" for nothing.
        computes: whether it compiles programs for devices.
        shared: whether several processes, on several hosts mostly, may do it together.
    """

    name: str
    summary: str
    work: str
    settings: str = ""
    flag: str = "config"
    example: str = ""
    options: tuple[Option, ...] = ()
    places: str = ""
    computes: bool = False
    shared: bool = False

    def settings_class(self) -> type[Settings] | None:
        """The class of the settings, imported."""
        return find(self.settings) if self.settings else None


def find(home: str) -> Any:
    """What "module:name" of this package stands for."""
    module, _, name = home.partition(":")
    return getattr(importlib.import_module(f"reex_jax.{module}"), name)


def start(command: Command, argv: Sequence[str] | None = None) -> NoReturn:
    """Parses, does the work, and ends the process.

    Exit status 0; 1 after one line on stderr where the user must mend something; 130 and 143 after
    Ctrl-C and SIGTERM. Libraries' log messages below warnings are left out.

    Args:
        command: what to do.
        argv: what the user typed behind the program; None for this process's.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if {"--help", "-help", "-h", "--helpfull", "--helpshort"} & set(given):
        _without_traceback(lambda: print(_help(command, given)))
    # Libraries read flags of their own (grain does): nobody gives any, but they must be parsed.
    flags.FLAGS(["reex_jax"])
    logging.set_verbosity(logging.WARNING)
    _without_traceback(lambda: _do(command, read_arguments(command, given)))


def _do(command: Command, arguments: Arguments) -> None:
    """The work, after what must come before JAX looks for devices."""
    if command.computes:
        machine = getattr(arguments.settings, "machine", None) or Machine()
        if command.shared:
            join(machine)
            signal.signal(signal.SIGTERM, _terminate)  # JAX has put its own in the place of ours
        else:
            refuse_several(command.name)
        use_compile_cache(machine.compile_cache)
    find(command.work)(arguments)


def start_named(commands: Sequence[Command], group: str = "") -> None:
    """Starts the command that this process's command line names, or lists those there are.

    Names may have two words: `index build`. `index` alone lists all that begin so.

    Args:
        commands: which there are.
        group: the first word of a name, where the program itself stands for it.
    """
    name, *rest = ([group] if group else []) + sys.argv[1:] or ["--help"]
    by_name = {command.name: command for command in commands}
    below = [one for one in commands if one.name.startswith(f"{name} ")]
    if below and rest and f"{name} {rest[0]}" in by_name:
        start(by_name[f"{name} {rest[0]}"], rest[1:])
    asked = not rest or rest[0] in _HELP
    if name in _HELP or (below and asked):
        lines = [f"  {one.name:15}{one.summary}" for one in below or commands]
        usage = "python -m reex_jax COMMAND --help tells what a command takes"
        print("\n".join(["Commands:", *lines, "", usage]))
        return
    if name not in by_name:
        given = f"{name} {rest[0]}" if below else name
        sys.exit(f"error: {unknown('command', given, [one.name for one in below] or by_name)}")
    start(by_name[name], rest)


_HELP = ("--help", "-h", "help")


def _without_traceback(work: Callable[[], Any]) -> NoReturn:
    signal.signal(signal.SIGTERM, _terminate)
    try:
        work()
    except UserError as error:
        _leave(f"error: {error}")
    except KeyboardInterrupt:
        _end("interrupted", signal.SIGINT)
    except _Terminated:
        _end("terminated", signal.SIGTERM)
    except MemoryError:
        _leave("error: not enough memory; take fewer or smaller queries, or a smaller batch_size")
    except OSError as error:
        # Disk full, a folder that vanished, no permission: nothing in the code to mend.
        place = f"{error.filename}: " if error.filename else ""
        _leave(f"error: {place}{error.strerror or error}; what was finished is kept")
    except Exception as error:
        if not _joined():
            raise
        lost = lost_process(error)
        if lost:
            _leave(f"error: {lost}")
        traceback.print_exc()
        _leave("")
    sys.exit(0)


class _Terminated(BaseException):
    """The system asks the process to end; a KeyboardInterrupt of another name."""


def _terminate(number: int, frame: object) -> NoReturn:
    raise _Terminated


def _end(how: str, number: signal.Signals) -> NoReturn:
    """Says what is left, and ends with the status that shells give a signal."""
    line = f"{how}; what was finished is kept, the same command goes on from there"
    print(line, file=sys.stderr)
    _leave("", 128 + number)


def _leave(message: str, status: int = 1) -> NoReturn:
    """Ends after a failure.

    One of several processes ends at once: Python's usual way out waits for the others, which wait
    for this one.
    """
    if _joined():
        if message:
            print(message, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(message or status)


def _joined() -> bool:
    """Whether this is one of several processes; asks nothing of JAX that is not loaded."""
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()


def read_arguments(command: Command, given: Sequence[str]) -> Arguments:
    """The settings and options of a command line.

    Raises:
        UserError: whatever is wrong with it, in one line.
    """
    kind = command.settings_class()
    return parse_arguments(
        given, kind, command.flag, command.example, command.options, command.places
    )


def _help(command: Command, given: Sequence[str]) -> str:
    """The page of a command; where a file is named, with its sweeps."""
    kind = command.settings_class()
    _, file = without_file(given, command.flag)
    sweeps = sweeps_of(file) if file else {}
    settings = {} if kind is None else {command.flag: kind()}
    name = f"{command.name} {command.places}".rstrip()
    return command_help(name, command.summary, settings, command.options, sweeps)
