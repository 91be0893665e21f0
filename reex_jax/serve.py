"""Serves an index: the command `serve` under a name of its own.

python -m reex_jax.serve --index=INDEX
"""

from reex_jax.commands.list import SERVE
from reex_jax.commands.start import start

if __name__ == "__main__":
    start(SERVE)
