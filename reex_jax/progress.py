"""How far long work is: a bar on a terminal, and elsewhere a line now and then.

Batch systems and `nohup` keep stderr in a file, where a bar would be noise, and nothing at all
leaves people without a sign of life.

    with Progress(len(queries), unit="query", label="repairs") as bar:
        for query in queries:
            ...
            bar.update()

    for path in tracked(paths, unit="image", label="checking images"):
        ...
"""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Self, TypeVar

from tqdm import tqdm

FIRST_S, EVERY_S = 10.0, 60.0
"""Seconds until the first line, and between the others, where stderr is no terminal."""

T = TypeVar("T")


class Progress:
    """A bar of tqdm on a terminal; lines on stderr where that is none."""

    def __init__(
        self,
        total: int,
        *,
        done: int = 0,
        unit: str = "it",
        label: str = "",
        shown: bool = True,
        leave: bool = True,
    ) -> None:
        """Begins.

        Args:
            total: of the whole work, also where a part was done before.
            done: what was done before; it counts in the total, not in the rate.
            unit: what is counted.
            label: in front of it.
            shown: False for neither bar nor lines.
            leave: whether the bar stays on the terminal at the end.
        """
        self._lines = shown and not sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            initial=done,
            unit=unit,
            desc=label or None,
            leave=leave,
            disable=not shown or self._lines,
        )
        self._total, self._done, self._before, self._unit = total, done, done, unit
        self._label, self._notes, self._left = label, "", ""
        self._began = time.monotonic()
        self._next = self._began + FIRST_S
        self._written = -1  # how much was done when the latest line was written

    @property
    def done(self) -> int:
        """How much of the whole is done."""
        return self._done

    def update(self, count: int = 1) -> None:
        """So many more are done."""
        self._done += count
        self._bar.update(count)
        if count and self._lines and time.monotonic() >= self._next:
            self._write()

    def label(self, text: str) -> None:
        """Says what is being worked on."""
        self._label = text
        self._bar.set_description(text)

    def notes(self, **values: str) -> None:
        """Shows values behind the numbers."""
        self._notes = "".join(f", {name} {value}" for name, value in values.items())
        self._bar.set_postfix(values)

    def foretell(self, left: str) -> None:
        """Says how much time is left, where somebody knows better than a constant rate does."""
        self._left = left
        # tqdm's own line with another guess in it.
        form = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<" + left + "{postfix}]"
        self._bar.bar_format = form

    def close(self) -> None:
        """Ends; where lines were written, the last one says how it ended."""
        if -1 < self._written < self._done:
            self._write()
        self._lines, self._written = False, -1
        self._bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self) -> None:
        now = time.monotonic()
        rate = (self._done - self._before) / max(now - self._began, 1e-9)
        left = ""
        if self._left and self._done < self._total:
            left = f", {self._left} left"
        elif rate and self._done < self._total:
            left = f", {tqdm.format_interval((self._total - self._done) / rate)} left"
        label = f"{self._label}: " if self._label else ""
        line = (
            f"{label}{self._done} of {self._total} ({rate:.3g} {self._unit}/s{left}{self._notes})"
        )
        print(line, file=sys.stderr, flush=True)
        self._written, self._next = self._done, now + EVERY_S


def tracked(
    items: Iterable[T],
    *,
    total: int | None = None,
    unit: str = "it",
    label: str = "",
    shown: bool = True,
    leave: bool = True,
) -> Iterator[T]:
    """Each item, with `Progress` for the whole; `total` where `items` has no length."""
    if total is None:
        total = len(items) if isinstance(items, Sized) else 0
    with Progress(total, unit=unit, label=label, shown=shown, leave=leave) as bar:
        for item in items:
            yield item
            bar.update()
