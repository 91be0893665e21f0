"""Runs an ablation: the command `ablate` under its own name.

python -m reex_jax.ablation --config=experiments/ablation_exclusion.py
"""

from reex_jax.commands.list import ABLATE
from reex_jax.commands.start import start

if __name__ == "__main__":
    start(ABLATE)
