"""All commands: `python -m reex_jax COMMAND`, or `reex-jax COMMAND` where it is installed."""

from reex_jax.commands.list import COMMANDS
from reex_jax.commands.start import start_named


def main() -> None:
    """Starts the command that is named first, or lists all of them."""
    start_named(COMMANDS)


if __name__ == "__main__":
    main()
