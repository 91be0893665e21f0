"""Says what fits on a device: the command `plan` under a name of its own.

python -m reex_jax.plan --plan.items=10000000
"""

from reex_jax.commands.list import PLAN
from reex_jax.commands.start import start

if __name__ == "__main__":
    start(PLAN)
