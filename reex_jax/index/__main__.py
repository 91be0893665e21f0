"""Makes and keeps indexes: the commands `index ...` under their own name.

python -m reex_jax.index build --images=PICTURES --out=INDEX
"""

from reex_jax.commands.list import COMMANDS
from reex_jax.commands.start import start_named

if __name__ == "__main__":
    start_named(COMMANDS, "index")
