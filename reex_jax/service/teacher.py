"""The thread that hands searches to the learner, and what it learned back to the answers."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from reex_jax.service.asked import Ask, Lane
from reex_jax.service.history import History
from reex_jax.service.learner import Learned, Learner, Rows
from reex_jax.service.metrics import Metrics
from reex_jax.service.remote import LearnerGoneError
from reex_jax.settings.service import Learning

_log = logging.getLogger(__name__)
_CALM_S = 2.0  # without searches, before compiling ahead: a compilation is not broken off
_RETRY_S = 30.0  # from the end of a learner to its next start
_END_S = 60.0


class Called(Protocol):
    """A learner here or elsewhere, whose methods are called by name."""

    def start(self) -> None: ...

    def call(self, name: str, *arguments: Any) -> Any: ...

    def stop(self) -> None: ...


@dataclass
class LocalLearner:
    """A learner in this process."""

    make: Callable[[], Learner]
    _made: Learner | None = field(default=None, repr=False)

    def start(self) -> None:
        """Nothing yet: the first call makes it."""

    def call(self, name: str, *arguments: Any) -> Any:
        """What the learner's method gives."""
        self._made = self._made or self.make()
        return getattr(self._made, name)(*arguments)

    def stop(self) -> None:
        """Lets go of it."""
        self._made = None


@dataclass
class Teacher:
    """Collects searches by lane until there are enough, or the first has waited long enough.

    Attributes:
        learner: learns.
        lanes: that there are.
        learning: how many, how long.
        rows_of: makes a batch.
        warm: batches whose programs are compiled while there is nothing else to do.
        publish: is given what a lane knows, each time that changes.
        history: of the state.
        metrics: of the service.
        save_s: seconds between two saves; 0: only at the end.
    """

    learner: Called
    lanes: Sequence[Lane]
    learning: Learning
    rows_of: Callable[[Sequence[Ask]], Rows]
    warm: Sequence[tuple[Lane, Rows]]
    publish: Callable[[Learned], None]
    history: History
    metrics: Metrics
    save_s: float
    ready: bool = False

    def __post_init__(self) -> None:
        most = self.learning.batch_size * self.learning.backlog
        self._waiting = {lane: deque[tuple[float, Ask]](maxlen=most) for lane in self.lanes}
        self._cold = deque(self.warm)
        self._orders = deque[tuple[str, Future[Any]]]()
        self._changed = threading.Condition()
        self._ending = False
        self._busy = False
        self._unsaved = False
        self._saved_at = time.monotonic()
        self._offered_at = -_CALM_S
        self._thread = threading.Thread(target=self._run, name="teacher", daemon=True)

    def start(self) -> None:
        """Starts the learner and the thread."""
        self.learner.start()
        self._thread.start()

    def offer(self, asks: Sequence[Ask]) -> None:
        """Searches to learn from, when there is time; where too many wait, the oldest go."""
        now = time.monotonic()
        with self._changed:
            self._offered_at = now
            for ask in asks:
                waiting = self._waiting[ask.lane]
                if len(waiting) == waiting.maxlen:
                    self.metrics.left_out.inc()
                waiting.append((now, ask))
            self._changed.notify()

    def order(self, name: str) -> Future[Any]:
        """Asks for "reset" or "save"; they come before any more learning."""
        future: Future[Any] = Future()
        with self._changed:
            if self._ending:
                future.set_exception(LearnerGoneError("the service is ending"))
                return future
            self._orders.append((name, future))
            self._changed.notify()
        return future

    def idle(self) -> bool:
        """Whether nothing waits and nothing is being learned."""
        with self._changed:
            return self.ready and not (self._busy or self._orders or any(self._waiting.values()))

    def stop(self) -> None:
        """Saves what was learned, and ends; searches that still wait are left out."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        if self._thread.is_alive():  # else it ended, or the learner did not start
            self._thread.join(_END_S)
        self.learner.stop()

    def _run(self) -> None:
        while True:
            try:
                self._begin()
                while self._turn():
                    pass
                break
            except Exception as error:  # of a process that died, or that cannot learn as it is
                if not isinstance(error, LearnerGoneError):
                    _log.exception("the learner failed")
                self.ready = False
                self.metrics.learner_ends.inc()
                self.history.add("learner ended")
                _log.warning("the learner has ended; answers go on, it starts again later")
                if self._wait_to_end(_RETRY_S):
                    break
                self.learner.stop()
                self.learner.start()
        self._refuse_orders()

    def _begin(self) -> None:
        """Takes up what was saved."""
        known, trouble = self.learner.call("restore", self.lanes)
        for line in trouble:
            _log.warning("%s", line)
        for learned in known:
            self.publish(learned)
            self.history.add("restored", **learned.lane._asdict(), batches=learned.batches)
        self._cold = deque(self.warm)
        self.ready = True

    def _turn(self) -> bool:
        """One order, batch, save or compilation; whether there may be another."""
        with self._changed:
            while not (
                self._ending or self._orders or self._due() or self._save_due() or self._calm()
            ):
                self._changed.wait(self._patience())
            order = self._orders.popleft() if self._orders else None
            batch = None if order or self._ending else self._due()
            asks = self._taken(batch) if batch else []
            ending = self._ending and order is None
            self._busy = bool(order or asks)
        try:
            if order:
                self._obey(*order)
            elif asks:
                self._learn(asks)
            elif self._calm() and not self._ending:
                self.learner.call("warm_up", *self._cold.popleft())
            if ending or self._save_due():
                self._save_or_say()
        finally:
            self._busy = False
        return not ending

    def _due(self) -> Lane | None:
        """The lane whose turn it is: the one whose first search has waited longest."""
        now, enough = time.monotonic(), self.learning.batch_size
        due = {
            lane: waiting[0][0]
            for lane, waiting in self._waiting.items()
            if waiting and (len(waiting) >= enough or now - waiting[0][0] >= self.learning.wait_s)
        }
        return min(due, key=due.__getitem__) if due else None

    def _patience(self) -> float | None:
        """Seconds until something may be due by itself."""
        now = time.monotonic()
        times = [w[0][0] + self.learning.wait_s - now for w in self._waiting.values() if w]
        if self._unsaved and self.save_s:
            times.append(self._saved_at + self.save_s - now)
        if self._cold:
            times.append(self._offered_at + _CALM_S - now)
        return max(min(times), 0.001) if times else None

    def _calm(self) -> bool:
        """Whether it is time to compile ahead."""
        return bool(self._cold) and time.monotonic() - self._offered_at >= _CALM_S

    def _taken(self, lane: Lane) -> list[Ask]:
        waiting = self._waiting[lane]
        count = min(len(waiting), self.learning.batch_size)
        return [waiting.popleft()[1] for _ in range(count)]

    def _learn(self, asks: Sequence[Ask]) -> None:
        began = time.perf_counter()
        lane = asks[0].lane
        try:
            learned = self.learner.call("learn", lane, self.rows_of(asks))
        except LearnerGoneError:
            raise
        except Exception:  # a batch must not end all learning
            _log.exception("a batch of %s could not be learned from", lane)
            self.metrics.learning_errors.inc()
            return
        took = time.perf_counter() - began
        self.publish(learned)
        self._unsaved = True
        self.metrics.learned(lane, len(asks), took, learned)
        values = {**lane._asdict(), "queries": len(asks), "batches": learned.batches}
        self.history.add("learned", **values, ms=round(1e3 * took, 1), **learned.diagnostics)
        if learned.diagnostics.get("restored"):
            _log.warning("%s: the model was ruined, and is the source again", lane)
            self.history.add("put back", **values)

    def _obey(self, name: str, future: Future[Any]) -> None:
        try:
            future.set_result(self._reset() if name == "reset" else self._save())
        except BaseException as error:
            future.set_exception(error)
            if isinstance(error, LearnerGoneError):
                raise

    def _reset(self) -> int:
        with self._changed:
            for waiting in self._waiting.values():
                waiting.clear()
        known = self.learner.call("reset")
        for learned in known:
            self.publish(learned)
        self._unsaved = True
        self.history.add("reset", lanes=len(known))
        return len(known)

    def _save(self) -> int:
        saved = 0
        if self._unsaved:
            saved = self.learner.call("save")
            self._unsaved = False
            self.history.add("saved", lanes=saved)
            self.metrics.saved.set_to_current_time()
        self.history.save()
        self._saved_at = time.monotonic()
        return saved

    def _save_or_say(self) -> None:
        """As `_save`; a full disk must not end learning, the next save may fit."""
        try:
            self._save()
        except LearnerGoneError:
            raise
        except Exception as error:
            _log.error("what was learned could not be saved: %s", error)
            self._saved_at = time.monotonic()

    def _save_due(self) -> bool:
        late = time.monotonic() - self._saved_at >= self.save_s > 0
        return self._unsaved and late

    def _wait_to_end(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._ending, seconds)

    def _refuse_orders(self) -> None:
        with self._changed:
            self._ending = True
            for _, future in self._orders:
                future.set_exception(LearnerGoneError("the service is ending"))
            self._orders.clear()
