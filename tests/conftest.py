"""Strict settings for every test: see STYLE points 14 and 15 in docs of the field's code.

Eight fake CPU devices let sharded code run on a laptop; the flag must be set before JAX starts.
"""

import os

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
).strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

# An accidental [n] + [n, 1] gives a wrong matrix instead of an error; refuse it everywhere.
jax.config.update("jax_numpy_rank_promotion", "raise")
