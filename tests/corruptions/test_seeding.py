import subprocess
import sys

import numpy as np
import pytest

from reex_jax.corruptions.seeding import item_rng
from reex_jax.errors import UserError


def test_the_stream_is_fixed():
    rng = item_rng("COCO_val2014_000000000042.jpg", "gaussian_noise", 5, 0)
    assert rng.integers(0, 2**32, 3).tolist() == [1280943701, 1653365450, 176114735]


def test_another_process_draws_the_same_numbers():
    code = (
        "from reex_jax.corruptions.seeding import item_rng;"
        "print(item_rng('bild/ä.png', 'swap', 3, 7).random().hex())"
    )
    # Python salts its own hash in each process; the seed must not depend on it.
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": salt, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for salt in ("1", "2")
    }
    assert outputs == {item_rng("bild/ä.png", "swap", 3, 7).random().hex()}


def test_each_part_of_the_key_changes_the_stream():
    keys = [
        ("a", "swap", 1, 0),
        ("b", "swap", 1, 0),
        ("a", "delete", 1, 0),
        ("a", "swap", 2, 0),
        ("a", "swap", 1, 1),
        ("a", "swap", 1, -1),
        ("aswap", "", 1, 0),
        ("a", "swap1", 0, 0),
        ("\ud800", "swap", 1, 0),
    ]
    assert len({item_rng(*key).random() for key in keys}) == len(keys)


def test_numpy_integers_count_as_integers():
    first = item_rng("a", "swap", np.int64(1), np.int32(2)).random()
    assert first == item_rng("a", "swap", 1, 2).random()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ((3, "swap", 1, 0), "item id 3 is a int; ids are strings"),
        (("a", "swap", 1, 0.5), "a: seed 0.5 is not an integer"),
        (("a", "swap", True, 0), "a: severity True is not an integer"),
    ],
)
def test_wrong_types_are_refused(key, message):
    with pytest.raises(UserError, match=message):
        item_rng(*key)
