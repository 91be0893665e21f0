"""Random numbers that depend on what is corrupted, and on nothing else."""

import hashlib
import json

import numpy as np

from reex_jax.errors import UserError


def item_rng(item_id: str, corruption: str, severity: int, seed: int) -> np.random.Generator:
    """The random generator of one item under one corruption.

    The key is a BLAKE2b digest of the four values, so it is the same in any order, process and
    machine (Python's own `hash` is not), and items do not share a stream. The bit generator is
    named, because `np.random.default_rng` may change its choice.

    Args:
        item_id: the image's or caption's id, unique in its data set.
        corruption: the corruption's name.
        severity: its severity.
        seed: the run's seed, any integer.

    Raises:
        UserError: the id is no string, or severity or seed is no integer.
    """
    if not isinstance(item_id, str):
        raise UserError(f"item id {item_id!r} is a {type(item_id).__name__}; ids are strings")
    for what, value in (("severity", severity), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise UserError(f"{item_id}: {what} {value!r} is not an integer")
    # JSON keeps the four apart ("a", "bc" is not "ab", "c") and escapes all beyond ASCII.
    key = json.dumps([item_id, corruption, int(severity), int(seed)]).encode("ascii")
    digest = hashlib.blake2b(key, digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
