"""The command `pretrain`."""

from reex_jax.commands.arguments import Arguments
from reex_jax.pretraining.run import pretrain as train


def pretrain(arguments: Arguments) -> None:
    """Trains as the settings say, and names the folder that it wrote."""
    print(f"wrote {train(arguments.settings)}")
