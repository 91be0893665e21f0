"""Searches that arrive together are answered together, in one step of the model."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from reex_jax.service.asked import Answer, Ask
from reex_jax.service.metrics import Metrics


class FullError(Exception):
    """Too much is under way; the same request may be sent again soon."""


class _Job(NamedTuple):
    ask: Ask
    answer: "asyncio.Future[Answer]"
    arrived: float


class Slots:
    """So many at once, and no more."""

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0

    def __call__(self) -> AbstractContextManager[None]:
        """Takes a slot for the time of a `with` block.

        Raises:
            FullError: none is free.
        """
        return self._held()

    @contextmanager
    def _held(self) -> Iterator[None]:
        if self.taken >= self.most:
            raise FullError
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class Gatherer:
    """A loop that answers everything that waits, as much at a time as one step holds.

    While a step runs, the next searches collect: under load steps grow, a lone search does not
    wait for others.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Ask]], list[Answer]],
        most: int,
        answered: Callable[[Sequence[Ask]], None],
        metrics: Metrics,
    ) -> None:
        """Args:
        answer: a batch of at most `most`; runs in a thread of its own.
        most: searches of one step.
        answered: is told what may be learned from.
        metrics: of the service.
        """
        self._answer, self._most, self._answered, self._metrics = answer, most, answered, metrics
        self._waiting = deque[_Job]()
        self._some = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "answers")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins; there must be a running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Ends, after the step that runs."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown()

    async def __call__(self, ask: Ask) -> Answer:
        """The answer to one search; given up if the caller is."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        job = _Job(ask, future, time.perf_counter())
        self._waiting.append(job)
        self._some.set()
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._some.wait()
            jobs = self._next()
            if not jobs:
                self._some.clear()
                continue
            began = time.perf_counter()
            asks = [job.ask for job in jobs]
            try:
                answers = await loop.run_in_executor(self._thread, self._answer, asks)
            except Exception as error:  # each caller is told; the loop goes on
                for job in jobs:
                    if not job.answer.done():
                        job.answer.set_exception(error)
                continue
            took = time.perf_counter() - began
            self._metrics.steps.observe(len(jobs))
            self._metrics.step_seconds.observe(took)
            for job, answer in zip(jobs, answers, strict=True):
                answer.timings["wait"] = 1e3 * (began - job.arrived)
                answer.timings["together"] = len(jobs)
                if not job.answer.done():
                    job.answer.set_result(answer)
            self._answered([ask for ask in asks if ask.learn])

    def _next(self) -> list[_Job]:
        """As many as a step holds, without those whose callers have gone."""
        jobs: list[_Job] = []
        while self._waiting and len(jobs) < self._most:
            job = self._waiting.popleft()
            if not job.answer.done():
                jobs.append(job)
        return jobs
