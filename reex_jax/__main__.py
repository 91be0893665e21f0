"""All commands: `python -m reex_jax COMMAND`, or `reex-jax COMMAND` where it is installed."""

import sys

from reex_jax.commands.list import COMMANDS
from reex_jax.commands.start import start
from reex_jax.errors import unknown


def main() -> None:
    """Starts the command that is named first, or lists all of them."""
    name, *rest = sys.argv[1:] or ["--help"]
    if name in ("--help", "-h", "help"):
        lines = [f"  {command.name:15}{command.summary}" for command in COMMANDS]
        usage = "python -m reex_jax COMMAND --help tells what a command takes"
        print("\n".join(["Commands:", *lines, "", usage]))
        return
    by_name = {command.name: command for command in COMMANDS}
    if name not in by_name:
        sys.exit(f"error: {unknown('command', name, by_name)}")
    start(by_name[name], rest)


if __name__ == "__main__":
    main()
