"""Prepared queries kept in memory, so that all methods of a run share what one has made."""

import threading
from collections.abc import Callable

import numpy as np

from reex_jax.queries.streams import Stream

Make = Callable[[], np.ndarray]


class KeptPixels:
    """The prepared images of a run, up to so many bytes; safe to call from several threads.

    What comes first stays: every method sees the streams in the same order, so throwing out the
    oldest would throw out just what the next method asks for first.
    """

    def __init__(self, bytes_at_most: int) -> None:
        """Keeps nothing yet, and never anything for 0 bytes."""
        self._left = bytes_at_most
        self._kept: dict[tuple[Stream, int], np.ndarray] = {}
        self._lock = threading.Lock()

    def __call__(self, stream: Stream, position: int, make: Make) -> np.ndarray:
        """The prepared image of a query; `make` is called where it is not there."""
        key = (stream, position)
        found = self._kept.get(key)
        if found is not None:
            return found
        made = make()
        with self._lock:
            if key not in self._kept and made.nbytes <= self._left:
                self._left -= made.nbytes
                self._kept[key] = made
        return made
