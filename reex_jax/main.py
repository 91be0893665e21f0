"""Runs a benchmark: the command `run` under the name that most users type.

python -m reex_jax.main --config=experiments/scenes_c.py --config.method=reex
"""

from reex_jax.commands.list import RUN
from reex_jax.commands.start import start

if __name__ == "__main__":
    start(RUN)
