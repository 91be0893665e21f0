"""Prepared batches: order, padding, shares, resumption, errors; whatever the number of threads."""

import threading
import time

import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.queries.pipeline import prepared_batches


def row(item: int) -> np.ndarray:
    """Slow for small items, so that threads end in another order than they began."""
    time.sleep(0.002 * (item % 3 == 0))
    return np.array([item, 10 * item])


def batches(count, batch_size, prepare=row, workers=3, **settings):
    items = list(range(100, 100 + count))
    return list(
        prepared_batches(items, prepare, batch_size=batch_size, workers=workers, **settings)
    )


def equal(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        for field in ("indices", "inputs", "mask"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_all_items_come_in_order_and_the_last_batch_is_padded(workers):
    """Seven items by three."""
    made = batches(7, 3, workers=workers)
    assert [batch.indices.tolist() for batch in made] == [[0, 1, 2], [3, 4, 5], [6, -1, -1]]
    assert [batch.mask.tolist() for batch in made] == [[True] * 3, [True] * 3, [True, False, False]]
    assert made[1].inputs.tolist() == [[103, 1030], [104, 1040], [105, 1050]]
    assert made[2].inputs.tolist() == [[106, 1060]] * 3
    assert made[0].indices.dtype == np.int64 and made[0].mask.dtype == bool


@pytest.mark.parametrize(("count", "batch_size"), [(1, 1), (6, 3), (5, 64), (64, 64)])
def test_every_item_once(count, batch_size):
    made = batches(count, batch_size)
    indices = np.concatenate([batch.indices[batch.mask] for batch in made])
    assert indices.tolist() == list(range(count))
    assert all(batch.inputs.shape == (batch_size, 2) for batch in made)


def test_no_items_no_batches():
    assert batches(0, 4) == []


def test_a_resumed_run_sees_what_it_would_have_seen():
    prepared = []

    def counted(item):
        prepared.append(item)
        return row(item)

    equal(batches(10, 4, counted, start=1), batches(10, 4)[1:])
    assert sorted(prepared) == list(range(104, 110))
    assert batches(10, 4, start=3) == [] and batches(10, 4, start=9) == []


@pytest.mark.parametrize("count", [1, 9, 12, 13])
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_every_batch_equally(count, processes):
    """Put together again, the shares are the batches of one process."""
    whole = batches(count, 6)
    parts = [
        batches(count, 6, process_index=index, process_count=processes)
        for index in range(processes)
    ]
    assert {len(part) for part in parts} == {len(whole)}
    for number, batch in enumerate(whole):
        shares = [part[number] for part in parts]
        assert all(share.inputs.shape == (6 // processes, 2) for share in shares)
        np.testing.assert_array_equal(np.concatenate([s.indices for s in shares]), batch.indices)
        np.testing.assert_array_equal(np.concatenate([s.mask for s in shares]), batch.mask)
        inputs = np.concatenate([s.inputs for s in shares])
        np.testing.assert_array_equal(inputs[batch.mask], batch.inputs[batch.mask])


def test_a_share_of_padding_alone_repeats_the_last_item():
    (share,) = batches(3, 8, process_index=1, process_count=2)
    assert share.indices.tolist() == [-1] * 4 and not share.mask.any()
    assert share.inputs.tolist() == [[102, 1020]] * 4


def test_ragged_rows_are_stacked_by_the_caller():
    def pad(rows):
        return np.stack([np.pad(r, (0, max(map(len, rows)) - len(r))) for r in rows])

    made = batches(3, 2, lambda item: np.ones(item - 99, int), stack=pad)
    assert made[0].inputs.tolist() == [[1, 0], [1, 1]]
    assert made[1].inputs.tolist() == [[1, 1, 1]] * 2


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failure_names_the_item_when_its_turn_comes(workers):
    def refuse(item):
        if item == 104:
            raise UserError("damaged or cut off; fetch it anew")
        return row(item)

    def fail(item):
        return row(item) if item != 104 else np.zeros(2)[5]

    for prepare, message in (
        (refuse, "image 104: damaged or cut off; fetch it anew"),
        (fail, "image 104: IndexError: index 5 is out of bounds for axis 0 with size 2"),
    ):
        made = prepared_batches(
            range(100, 110),
            prepare,
            batch_size=2,
            workers=workers,
            name=lambda item: f"image {item}",
        )
        assert next(made).indices.tolist() == [0, 1]
        assert next(made).indices.tolist() == [2, 3]
        with pytest.raises(UserError) as error:
            next(made)
        assert str(error.value) == message
        assert not getattr(error.value, "__notes__", [])
        assert error.value.__cause__ is not None


def test_items_are_prepared_ahead_but_not_without_end():
    prepared = []

    def counted(item):
        prepared.append(item)
        return row(item)

    made = prepared_batches(range(1000), counted, batch_size=4, workers=2)
    next(made)
    deadline = time.monotonic() + 5
    while len(prepared) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert 8 <= len(prepared) <= 12  # one batch given, two ahead
    made.close()
    time.sleep(0.1)
    assert len(prepared) <= 14 and threading.active_count() < 20


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        (
            {"batch_size": 4, "process_count": 3},
            "batch_size is 4, which 3 processes cannot share equally; choose a multiple of 3",
        ),
        (
            {"batch_size": 4, "process_index": 2, "process_count": 2},
            "process_index is 2; it must lie in 0..1",
        ),
        ({"batch_size": 4, "workers": -1}, "workers is -1 and start is 0; neither may be negative"),
        ({"batch_size": 4, "start": -1}, "workers is 0 and start is -1; neither may be negative"),
    ],
)
def test_impossible_sizes_are_refused_at_once(settings, message):
    with pytest.raises(UserError) as error:
        prepared_batches([1], row, **{"workers": 0} | settings)
    assert str(error.value) == message
