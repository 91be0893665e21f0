"""Bars on a terminal, lines elsewhere."""

import io
import sys

import pytest

from reex_jax import progress
from reex_jax.progress import Progress, tracked


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when a test says so."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_come_now_and_then_where_there_is_no_terminal(capsys, clock):
    with Progress(100, done=20, unit="query", label="repairs") as bar:
        for _ in range(75):
            clock[0] += 1
            bar.update()
    assert capsys.readouterr().err.splitlines() == [
        "repairs: 30 of 100 (1 query/s, 01:10 left)",  # after 10 s
        "repairs: 90 of 100 (1 query/s, 00:10 left)",  # a minute later
        "repairs: 95 of 100 (1 query/s, 00:05 left)",  # when it ends
    ]


def test_short_work_and_hidden_work_say_nothing(capsys, clock):
    assert list(tracked([1, 2, 3])) == [1, 2, 3]
    with Progress(3, shown=False) as bar:
        clock[0] += 100
        bar.update()
    assert capsys.readouterr().err == ""


def test_labels_and_notes(capsys, clock):
    with Progress(2) as bar:
        bar.label("tent on blur")
        bar.notes(loss="0.3")
        clock[0] += 20
        bar.update()
    assert "tent on blur: 1 of 2 (0.05 it/s, 00:20 left, loss 0.3)" in capsys.readouterr().err


def test_a_terminal_has_a_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(tracked((i for i in range(3)), total=3, unit="image", label="images")) == [0, 1, 2]
    assert "images: 100%" in sys.stderr.getvalue()
    assert "\n" not in sys.stderr.getvalue().rstrip("\n")
