"""What processes that share a run tell each other; several are imitated here.

Real ones are started in tests/adaptation/test_hosts.py and tests/commands/test_hosts.py.
"""

import jax
import numpy as np
import pytest

from reex_jax import hosts
from reex_jax.errors import UserError


def test_one_process_is_the_first_and_has_everything():
    assert hosts.first() and not hosts.several()
    assert hosts.from_first(lambda: 3) == 3
    assert hosts.in_turn(lambda: 4) == 4
    assert hosts.own_part(7) == slice(0, 7)
    rows = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(hosts.gathered(rows), rows[None])
    np.testing.assert_array_equal(hosts.concatenated(rows, 3), rows)
    hosts.check_same("settings", "a")


@pytest.mark.parametrize("count, processes", [(7, 3), (3, 3), (8, 4), (5, 4)])
def test_parts_are_neighbours_and_make_the_whole(count, processes, monkeypatch):
    whole = np.arange(2 * count).reshape(count, 2)
    monkeypatch.setattr(jax, "process_count", lambda: processes)
    parts = []
    for index in range(processes):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        parts.append(whole[hosts.own_part(count)])
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    np.testing.assert_array_equal(np.concatenate(parts), whole)

    padded = np.stack([np.pad(p, ((0, max(sizes) - len(p)), (0, 0))) for p in parts])
    monkeypatch.setattr(hosts, "gathered", lambda own: padded)
    np.testing.assert_array_equal(hosts.concatenated(parts[0], count), whole)


def test_processes_that_differ_are_refused(monkeypatch):
    other = np.zeros(32, np.uint8)
    monkeypatch.setattr(hosts, "gathered", lambda own: np.stack([own, own, other]))
    with pytest.raises(UserError, match="process 2 has other settings than process 0; start the"):
        hosts.check_same("settings", "a")
