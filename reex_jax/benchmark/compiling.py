"""How long JAX traces and compiles, as it says itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import jax

_COMPILE = "/jax/core/compile/backend_compile_duration"
_STAGES = (
    "/jax/core/compile/jaxpr_trace_duration",
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    _COMPILE,
)


@dataclass
class Compilations:
    """What was compiled so far.

    Attributes:
        programs: how many; those that were read from the compilation cache count, too.
        spans: when each stage of one began and ended, in seconds; they may lie inside each other.
    """

    programs: int = 0
    spans: list[tuple[float, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it took altogether."""
        total, covered = 0.0, float("-inf")
        for began, ended in sorted(self.spans):
            total += max(0.0, ended - max(began, covered))
            covered = max(covered, ended)
        return total


@contextmanager
def counted_compilations() -> Iterator[Compilations]:
    """Counts what is compiled inside."""
    found = Compilations()

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event in _STAGES:
            now = time.perf_counter()
            found.spans.append((now - duration_secs, now))
            found.programs += event == _COMPILE

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
