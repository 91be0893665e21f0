"""Trains a small CLIP on generated scenes: the command `pretrain` under its own name.

python -m reex_jax.pretrain --config=experiments/pretrain_scenes.py
"""

from reex_jax.commands.list import PRETRAIN
from reex_jax.commands.start import start

if __name__ == "__main__":
    start(PRETRAIN)
