"""How our commands start: arguments checked first, user errors without a traceback."""

import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from reex_jax.errors import UserError


def run_command(
    work: Callable[[], None],
    check: Callable[[Sequence[str]], None],
    *,
    required: str = "config",
) -> None:
    """Parses the flags, does the work, and ends the process.

    A UserError of either becomes one line on stderr and exit status 1. Libraries' log messages
    below warnings are left out, unless `--verbosity` asks for them.

    Args:
        work: what the command does; it may read flags.
        check: refuses a command line that absl would answer with a traceback.
        required: the flag that must be given.
    """

    def main(argv: list[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)
        _without_traceback(work)

    _without_traceback(lambda: check(sys.argv))
    flags.mark_flag_as_required(required)
    app.run(main, flags_parser=_parse_flags)


def _parse_flags(argv: list[str]) -> list[str]:
    """Parses as absl does, and says in one line what a configuration file refuses."""
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        root: BaseException = error
        while root.__context__ is not None:
            root = root.__context__
        reason = root if isinstance(root, UserError) else error
        sys.exit(f"error: {reason}")


def _without_traceback(work: Callable[[], None]) -> None:
    try:
        work()
    except UserError as error:
        sys.exit(f"error: {error}")
