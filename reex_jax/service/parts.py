"""What a service consists of, made from an index and settings."""

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax

from reex_jax.index.backends.protocol import SearchBackend
from reex_jax.models.two_tower import TwoTower
from reex_jax.service.asked import Ask, Lane, Searched, View
from reex_jax.service.demo import Demo
from reex_jax.service.engine import Engine
from reex_jax.service.gather import Gatherer
from reex_jax.service.history import History
from reex_jax.service.learner import Learned, Learner, Rows, rows_of
from reex_jax.service.metrics import Metrics
from reex_jax.service.remote import RemoteLearner
from reex_jax.service.searcher import Searcher
from reex_jax.service.teacher import Called, LocalLearner, Teacher
from reex_jax.service.texts import TextRepairs, load_repairs
from reex_jax.settings.service import Service

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Parts:
    """Everything that works; `api` only speaks HTTP.

    Attributes:
        model_name: for people.
        index: what is searched.
        settings: checked ones.
        engine: answers.
        searcher: prepares, and words the answers.
        teacher: learns; None where nothing is learned.
        history: of the adapted state.
        metrics: counts.
        stage: what `begin` is doing.
        ready: whether searches are answered.
        failure: why it could not begin; "" where nothing is wrong.
        give_up: is called then.
    """

    model_name: str
    index: Searched
    settings: Service
    engine: Engine
    searcher: Searcher
    teacher: Teacher | None
    history: History
    metrics: Metrics
    repairs: TextRepairs | None
    stage: str = "loading"
    ready: bool = field(default=False)
    failure: str = ""
    give_up: Callable[[], None] = field(default=lambda: None)

    def begin(self) -> None:
        """Compiles and loads whatever a request needs; may take a minute, in a thread."""
        if self.teacher:
            self.teacher.start()
        if self.repairs:
            self.stage = "loading word lists"
            self.repairs.warm_up()
        self.engine.warm_up(self._say)
        self.ready, self.stage = True, "ready"

    def fail(self, error: BaseException) -> None:
        """After `begin` failed: without it no search would ever be answered."""
        self.failure, self.stage = f"{type(error).__name__}: {error}", "failed"
        _log.error("the service cannot begin: %s", self.failure)
        self.give_up()

    async def end(self) -> None:
        """Answers what is under way, keeps what was learned."""
        self.ready, self.stage = False, "ending"
        await self.searcher.gather.stop()
        self.searcher.stop()
        if self.teacher:
            self.teacher.stop()

    def _say(self, stage: str) -> None:
        self.stage = stage


def make_parts(
    model: TwoTower,
    model_name: str,
    index: Searched,
    settings: Service,
    folder: Path,
    *,
    demo: Demo | None = None,
    backend: SearchBackend | None = None,
    remote: tuple[Any, tuple[Any, ...]] | None = None,
) -> Parts:
    """Puts a service together; nothing runs yet.

    Args:
        model: that embedded the index.
        model_name: for people.
        index: what is searched.
        settings: checked ones.
        folder: where what was learned is kept.
        demo: samples, if the index has some.
        backend: over the index's embeddings, names each query's candidates; None: all items are.
        remote: (function, arguments) that make a `Learner` in another process; None: here.

    Raises:
        UserError: a method or setting that cannot be, or the repair cache is damaged.
    """
    metrics, history = Metrics(), History(folder)
    metrics.items.set(len(index))
    engine = Engine(model, index.embeddings, settings, backend)
    repairs = load_repairs(settings.gsr)
    teacher = None
    if settings.learning.on:

        def here() -> Learner:
            return Learner(model, index.embeddings, list(index.ids), settings, folder)

        learner: Called = LocalLearner(here)
        if remote and _in_process(settings):
            learner = RemoteLearner(*remote, settings.learning.niceness)
        teacher = _teacher(model, engine, settings, learner, history, metrics)
    gather = Gatherer(
        engine.answer,
        settings.batch_sizes[-1],
        teacher.offer if teacher else lambda _: None,
        metrics,
    )
    searcher = Searcher(model, index, settings, gather, repairs, demo)
    return Parts(model_name, index, settings, engine, searcher, teacher, history, metrics, repairs)


def _teacher(
    model: TwoTower,
    engine: Engine,
    settings: Service,
    learner: Called,
    history: History,
    metrics: Metrics,
) -> Teacher:
    fuses = bool(settings.gsr.rewriter)

    def publish(learned: Learned) -> None:
        view = View(None, learned.correction, learned.batches, learned.restored)
        engine.publish(learned.lane, learned.leaves, view)

    return Teacher(
        learner,
        engine.lanes,
        settings.learning,
        functools.partial(rows_of, model, fuses=fuses),
        warm_batches(model, engine, settings, fuses),
        publish,
        history,
        metrics,
        60 * settings.save_minutes,
    )


def warm_batches(
    model: TwoTower, engine: Engine, settings: Service, fuses: bool
) -> list[tuple[Lane, Rows]]:
    """Batches of every shape that the learner will see, the largest first.

    An `Adapter` pads to its batch size, or a quarter, a sixteenth ... of it.
    """
    sizes, size = [], settings.learning.batch_size
    while size not in sizes:
        sizes.append(size)
        size = -(-size // 4)
    return [
        (lane, rows_of(model, [Ask(lane, inputs, 1)] * size, fuses))
        for method in settings.methods
        for size in sizes
        for lane in engine.lanes
        for inputs in engine.samples(lane.query)
        if lane.method == method
    ]


def _in_process(settings: Service) -> bool:
    where = settings.learning.where
    return where == "process" or (where == "auto" and jax.default_backend() == "cpu")


__all__: Sequence[str] = ("Parts", "make_parts", "warm_batches")
