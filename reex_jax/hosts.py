"""Processes that share one run, mostly one on each host; a single one in most cases.

Every process runs the same program on its own part of each batch. What only one may do (write
results, decide what is missing) the first process does, and tells the others. All functions here
must be called by all processes, in the same order.
"""

import hashlib
import pickle
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from reex_jax.errors import UserError

T = TypeVar("T")


def several() -> bool:
    """Whether there is more than one process."""
    return jax.process_count() > 1


def first() -> bool:
    """Whether this is the process that writes results; the only one is."""
    return jax.process_index() == 0


def gathered(own: np.ndarray) -> np.ndarray:
    """Every process's array, in their order: [n, ...] -> [processes, n, ...].

    Args:
        own: this process's; of the same shape and dtype in all.
    """
    if not several():
        return own[None]
    return np.asarray(multihost_utils.process_allgather(own))


def from_first(make: Callable[[], T]) -> T:
    """What `make` returns in the first process, in all; the others do not call it.

    Raises:
        UserError: as the first process's `make`, in all of them.
    """
    if not several():
        return make()
    sent = b""
    if first():
        try:
            sent = pickle.dumps((make(), None))
        except UserError as error:
            sent = pickle.dumps((None, str(error)))
    size = multihost_utils.broadcast_one_to_all(np.int32(len(sent)))
    content = np.zeros(int(size), np.uint8)
    if first():
        content[:] = np.frombuffer(sent, np.uint8)
    value, message = pickle.loads(multihost_utils.broadcast_one_to_all(content).tobytes())
    if message is not None:
        raise UserError(message)
    return value


def told_by_all(own: T) -> list[T]:
    """What every process has to say, in their order; anything that can be pickled."""
    if not several():
        return [own]
    sent = np.frombuffer(pickle.dumps(own), np.uint8)
    sizes = gathered(np.array([len(sent)], np.int32))[:, 0]
    parts = gathered(np.pad(sent, (0, sizes.max() - len(sent))))
    return [pickle.loads(part[:size].tobytes()) for part, size in zip(parts, sizes, strict=True)]


def in_turns(own: Iterator[T]) -> Iterator[T]:
    """The first thing of every process in their order, then each one's second, and so on.

    Each process goes on with its own while the others are at theirs.
    """
    while True:
        found = [one for told in told_by_all(list(islice(own, 1))) for one in told]
        if not found:
            return
        yield from found


def together(work: Callable[[], T]) -> T:
    """What `work` returns in each process.

    Raises:
        UserError: that of the first process whose `work` raises one, in all of them; else the
            others would wait for that process.
    """
    if not several():
        return work()
    message: str | None = None
    try:
        done = work()
    except UserError as error:
        message = str(error)
    for process, told in enumerate(told_by_all(message)):
        if told is not None:
            raise UserError(f"process {process}: {told}")
    return done


def in_turn(work: Callable[[], T]) -> T:
    """Does something in one process after the other, so that they may share files."""
    done: list[T] = []
    for turn in range(jax.process_count()):
        if turn == jax.process_index():
            done.append(work())
        if several():
            multihost_utils.sync_global_devices(f"turn {turn}")
    return done[0]


def own_part(count: int) -> slice:
    """This process's contiguous part of `count` things; the parts differ by at most one."""
    index, processes = jax.process_index(), jax.process_count()
    return slice(count * index // processes, count * (index + 1) // processes)


def concatenated(own: np.ndarray, count: int) -> np.ndarray:
    """All rows from every process's `own_part` of them: [n, ...] -> [count, ...]."""
    if not several():
        return own
    most = -(-count // jax.process_count())
    padded = np.pad(own, [(0, most - len(own))] + [(0, 0)] * (own.ndim - 1))
    processes = jax.process_count()
    sizes = np.diff([count * i // processes for i in range(processes + 1)])
    parts = gathered(padded)
    return np.concatenate([part[:size] for part, size in zip(parts, sizes, strict=True)])


def check_same(what: str, text: str) -> None:
    """Refuses processes that would work on different things.

    Args:
        what: for the message, for example "settings".
        text: all of it.

    Raises:
        UserError: it is another one in some process.
    """
    digests = gathered(np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8))
    other = np.flatnonzero((digests != digests[0]).any(axis=1))
    if other.size:
        raise UserError(
            f"process {other[0]} has other {what} than process 0; start the same command, with the "
            "same code and files, on every host"
        )
