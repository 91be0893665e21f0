"""What happened to the adapted state: learned, saved, put back. No query is in it."""

import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from reex_jax.service.kept import read_lines, write_lines

_MOST = 2000
FILE = "history.jsonl"


class History:
    """The latest events, oldest first; safe in several threads."""

    def __init__(self, folder: Path | None) -> None:
        """Goes on from what `save` wrote to the folder; None: nothing is kept."""
        self._file = folder and folder / FILE
        self._lock = threading.Lock()
        found = read_lines(self._file) if self._file else []
        self._events = deque[dict[str, Any]](found[-_MOST:], maxlen=_MOST)

    def add(self, what: str, **values: Any) -> None:
        """Adds an event of now."""
        with self._lock:
            self._events.append({"time": round(time.time(), 3), "what": what, **values})

    def latest(self, most: int = _MOST) -> list[dict[str, Any]]:
        """At most so many events."""
        with self._lock:
            return list(self._events)[-most:]

    def save(self) -> None:
        """Writes them to the folder."""
        if self._file:
            write_lines(self._file, self.latest())
