"""A learner in a process of its own, which gives way to answers: it has its own threads of XLA."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from reex_jax.service.learner import Learner

Maker = Callable[..., Learner]
_END_S = 5.0


class LearnerGoneError(Exception):
    """The process has ended, or answers no more."""


@dataclass
class RemoteLearner:
    """Stands for a `Learner` in another process; its methods are called by name.

    Attributes:
        make: a function of a module, makes the learner over there.
        arguments: for it; must be such as can be pickled.
        niceness: how far the process gives way.
    """

    make: Maker
    arguments: tuple[Any, ...]
    niceness: int

    def __post_init__(self) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def start(self) -> None:
        """Starts the process; the first call waits until it is ready."""
        context = multiprocessing.get_context("spawn")  # a fork of JAX's threads would hang
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, self.niceness, self.make, self.arguments), daemon=True
        )
        self._process.start()
        other.close()  # so that the end of the process is seen here

    def call(self, name: str, *arguments: Any) -> Any:
        """What the learner's method gives.

        Raises:
            LearnerGoneError: the process has ended.
            Exception: whatever the method raised.
        """
        if self._pipe is None:
            raise LearnerGoneError
        try:
            self._pipe.send((name, arguments))
            good, result = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise LearnerGoneError from error
        if not good:
            raise result
        return result

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self._process.pid if self._process else None

    def stop(self) -> None:
        """Ends the process; what was not saved is lost."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.join(_END_S)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
        self._pipe = self._process = None


def _serve(pipe: Connection, niceness: int, make: Maker, arguments: tuple[Any, ...]) -> None:
    """The process: answers calls until the other end is gone, then ends."""
    # The service asks for a last save itself, after its last answer.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(niceness)
    learner: Learner | None = None
    while True:
        try:
            name, given = pipe.recv()
        except (EOFError, OSError):
            break
        try:
            learner = learner or make(*arguments)
            reply = (True, getattr(learner, name)(*given))
        except Exception as error:  # it is raised where it was asked for
            reply = (False, _portable(error))
        try:
            pipe.send(reply)
        except OSError:
            break
    sys.stdout.flush()
    os._exit(0)  # threads of JAX would make the interpreter wait


def _portable(error: Exception) -> Exception:
    """An error that can be pickled."""
    return error if type(error).__module__.startswith("reex_jax") else RuntimeError(repr(error))
