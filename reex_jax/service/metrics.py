"""Numbers for Prometheus; none of them says what was asked."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from reex_jax.service.asked import Lane
from reex_jax.service.learner import Learned

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """Everything that is counted, in a registry of its own: two services do not share numbers."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"reex_{name}", meaning, labels, registry=registry)

        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(f"reex_{name}", meaning, labels, registry=registry)

        def histogram(
            name: str, meaning: str, buckets: tuple[float, ...], *labels: str
        ) -> Histogram:
            return Histogram(f"reex_{name}", meaning, labels, registry=registry, buckets=buckets)

        self.requests = counter("requests", "requests answered", "route", "status")
        self.seconds = histogram("request_seconds", "from request to answer", _SECONDS, "route")
        self.steps = histogram("step_rows", "searches answered together", _ROWS)
        self.step_seconds = histogram("step_seconds", "of such a step", _SECONDS)
        self.refused = counter("refused", "requests refused because too many were under way")
        self.under_way = gauge("under_way", "searches under way")
        self.items = gauge("items", "in the gallery")
        self.learned_queries = counter("learned_queries", "searches learned from", "lane")
        self.learned_batches = counter("learned_batches", "batches learned from", "lane")
        self.learn_seconds = histogram("learn_seconds", "to learn from a batch", _SECONDS)
        self.left_out = counter("left_out", "searches that learning had no time for")
        self.put_back = counter("put_back", "ruined models put back to the source", "lane")
        self.learning_errors = counter("learning_errors", "batches that learning failed on")
        self.learner_ends = counter("learner_ends", "unexpected ends of the learner")
        self.saved = gauge("saved_time_seconds", "when the state was last saved, since 1970")

    def learned(self, lane: Lane, queries: int, seconds: float, learned: Learned) -> None:
        """Counts a batch that was learned from."""
        name = f"{lane.query}-{lane.method}"
        self.learned_queries.labels(name).inc(queries)
        self.learned_batches.labels(name).inc()
        self.learn_seconds.observe(seconds)
        if learned.diagnostics.get("restored"):
            self.put_back.labels(name).inc()

    def page(self) -> bytes:
        """What Prometheus reads."""
        return generate_latest(self.registry)
