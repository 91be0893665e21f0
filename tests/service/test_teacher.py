"""The thread between answers and a learner, with a learner that only notes what it is told."""

import os
import signal
import threading
from collections import Counter

import numpy as np
import pytest

from reex_jax.service import teacher as teacher_module
from reex_jax.service.asked import Ask, Lane
from reex_jax.service.history import History
from reex_jax.service.learner import Learned
from reex_jax.service.metrics import Metrics
from reex_jax.service.remote import LearnerGoneError, RemoteLearner
from reex_jax.service.teacher import Teacher
from reex_jax.settings.service import Learning

LANE, OTHER = Lane("text", "reex"), Lane("image", "reex")


class Noted:
    """A learner that notes its calls; `gate` lets it learn, `dies` ends it at the next batch."""

    def __init__(self):
        self.calls, self.gate, self.dies, self.starts = [], threading.Event(), False, 0
        self.fails = set()
        self.gate.set()

    def start(self):
        self.starts += 1

    def stop(self):
        self.calls.append(("stop",))

    def call(self, name, *arguments):
        if name == "learn":
            self.gate.wait(30)
            if self.dies:
                self.dies = False
                raise LearnerGoneError
            if arguments[1] == "bad":
                raise ValueError("bad batch")
        self.calls.append((name, *arguments))
        if name in self.fails:
            self.fails.remove(name)
            raise OSError(f"{name}: no space left")
        if name == "restore":
            return [], []
        if name == "reset":
            return []
        if name == "save":
            return 1
        return Learned(arguments[0], [], None, len(self.calls), 0, {"restored": 1, "loss": 0.5})

    def learned(self):
        return [call[1:] for call in self.calls if call[0] == "learn"]


@pytest.fixture
def start(wait_until):
    """(learning settings, save_s) -> (teacher, learner, what was published)"""
    running = []

    def make(save_s=0.0, warm=(), rows_of=len, **learning):
        learner, published = Noted(), []
        made = Teacher(
            learner,
            (LANE, OTHER),
            Learning(**{"batch_size": 4, "wait_s": 0.0} | learning),
            rows_of,
            warm,
            published.append,
            History(None),
            Metrics(),
            save_s,
        )
        running.append(made)
        made.start()
        wait_until(lambda: made.ready)
        return made, learner, published

    yield make
    for made in running:
        made.stop()


def ask(lane=LANE) -> Ask:
    return Ask(lane, np.zeros(3), 1)


def test_batches_are_no_larger_than_allowed_and_of_one_lane(start, wait_until):
    made, learner, published = start(batch_size=4)
    learner.gate.clear()
    made.offer([ask() for _ in range(6)] + [ask(OTHER) for _ in range(3)])
    learner.gate.set()
    wait_until(made.idle)
    by_lane = {lane: [n for one, n in learner.learned() if one == lane] for lane in (LANE, OTHER)}
    assert sum(by_lane[LANE]) == 6 and sum(by_lane[OTHER]) == 3
    assert max(by_lane[LANE]) <= 4
    assert len(published) == len(learner.learned())


def test_where_too_many_wait_the_oldest_are_left_out(start, wait_until):
    made, learner, _ = start(batch_size=2, backlog=2, wait_s=3600.0)
    learner.gate.clear()
    made.offer([ask() for _ in range(2)])  # these are taken at once
    wait_until(lambda: made._busy)
    made.offer([ask() for _ in range(9)])
    learner.gate.set()
    wait_until(made.idle)
    assert [n for _, n in learner.learned()] == [2, 2, 2]
    assert "reex_left_out_total 5.0" in made.metrics.page().decode()


def test_few_searches_wait_for_more(start, wait_until):
    made, learner, _ = start(batch_size=4, wait_s=0.3)
    made.offer([ask()])
    made.offer([ask()])
    assert learner.learned() == []
    wait_until(made.idle)
    assert learner.learned() == [(LANE, 2)]


def test_orders_come_before_learning_and_are_answered(start):
    made, _, _ = start(wait_s=3600.0)
    made.offer([ask()])
    assert made.order("reset").result(30) == 0
    assert made.idle(), "a reset forgets what waits"
    assert made.order("save").result(30) == 1
    assert made.order("save").result(30) == 0, "nothing new"


def test_saves_by_itself_and_at_the_end(start, wait_until):
    made, learner, _ = start(save_s=0.05)
    made.offer([ask()])
    wait_until(lambda: ("save",) in learner.calls)
    made, learner, _ = start()
    made.offer([ask()])
    wait_until(made.idle)
    assert ("save",) not in learner.calls
    made.stop()
    assert learner.calls[-2:] == [("save",), ("stop",)]
    with pytest.raises(LearnerGoneError):
        made.order("save").result(30)


def test_a_bad_batch_does_not_end_learning(start, wait_until, caplog):
    made, learner, _ = start(rows_of=lambda asks: "bad" if len(asks) == 1 else len(asks))
    made.offer([ask()])
    wait_until(made.idle)
    made.offer([ask(), ask()])
    wait_until(made.idle)
    assert learner.learned() == [(LANE, 2)]
    assert "could not be learned from" in caplog.text


def test_a_learner_that_ends_is_started_again(start, wait_until, monkeypatch):
    monkeypatch.setattr(teacher_module, "_RETRY_S", 0.01)
    made, learner, _ = start()
    learner.dies = True
    made.offer([ask()])
    wait_until(lambda: learner.starts == 2 and made.ready)
    made.offer([ask()])
    wait_until(made.idle)
    assert learner.learned() == [(LANE, 1)]
    events = [event["what"] for event in made.history.latest()]
    assert events == ["learner ended", "learned", "put back"]


def test_a_full_disk_does_not_end_learning(start, wait_until, caplog):
    made, learner, _ = start(save_s=0.05)
    learner.fails = {"save"}
    made.offer([ask()])
    wait_until(lambda: learner.calls.count(("save",)) == 2)
    assert "could not be saved: save: no space left" in caplog.text
    made.offer([ask()])
    wait_until(lambda: len(learner.learned()) == 2)
    assert learner.starts == 1


def test_a_learner_that_fails_otherwise_is_started_again(start, wait_until, monkeypatch, caplog):
    monkeypatch.setattr(teacher_module, "_RETRY_S", 0.01)
    monkeypatch.setattr(teacher_module, "_CALM_S", 0.0)
    made, learner, _ = start()
    learner.fails = {"warm_up"}
    made._cold.append((LANE, 1))
    made.offer([ask()])
    wait_until(lambda: learner.starts == 2 and made.ready)
    assert "the learner failed" in caplog.text


def test_compiles_while_there_is_nothing_to_do(start, wait_until):
    _, learner, _ = start(warm=[(LANE, 1), (OTHER, 2)])
    wait_until(lambda: ("warm_up", OTHER, 2) in learner.calls)
    assert learner.calls[1] == ("warm_up", LANE, 1)


def test_a_learner_in_another_process():
    # Anything with methods will do, of a module that a new process can import.
    remote = RemoteLearner(Counter, ("abca",), 5)
    remote.start()
    try:
        assert remote.call("most_common", 1) == [("a", 2)]
        remote.call("update", "bb")
        assert remote.call("most_common", 1) == [("b", 3)]
        with pytest.raises(RuntimeError, match="AttributeError"):
            remote.call("nothing_like_this")
        assert os.getpriority(os.PRIO_PROCESS, remote.pid) >= 5
        os.kill(remote.pid, signal.SIGTERM)  # the service ends it, in its own time
        assert remote.call("total") == 6
        os.kill(remote.pid, signal.SIGKILL)
        with pytest.raises(LearnerGoneError):
            remote.call("total")
    finally:
        remote.stop()
    with pytest.raises(LearnerGoneError):
        remote.call("total")
