"""Repairs text queries ahead of a run: the command `repair` under its own name.

python -m reex_jax.gsr --config=experiments/scenes_c.py --config.gsr.rewriter=symspell
"""

from reex_jax.commands.list import REPAIR
from reex_jax.commands.start import start

if __name__ == "__main__":
    start(REPAIR)
