"""Makes the report of results folders: the command `report` under its own name.

python -m reex_jax.report results/scenes_c --out report.html
"""

from reex_jax.commands.list import REPORT
from reex_jax.commands.start import start

if __name__ == "__main__":
    start(REPORT)
