"""Answers batches of searches with what has been learned so far; learns nothing itself."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from reex_jax.adaptation.encoder import Constants, QueryEncoder, query_encoder
from reex_jax.index.backends.protocol import SearchBackend
from reex_jax.models.two_tower import TwoTower
from reex_jax.service.asked import Answer, Ask, Lane, Ranked, View, features_of_asks
from reex_jax.service.gallery import CandidateGallery, Corrections, ExactGallery, Gallery
from reex_jax.service.programs import embedding, padded
from reex_jax.settings.choices import QUERIES
from reex_jax.settings.service import UNADAPTED, Service

K_SIZES = (10, 50, 100, 200, 500, 1000)
"""Results that are computed; a request's k is cut from the smallest of these that holds it."""
_RECENT = 256  # queries whose entropies say what is confident
_SHORT = 32  # tokens; longer texts are padded to the model's longest length
_WARM_TEXTS = ("a", "a " * 20, "a " * 50)


class _Published(NamedTuple):
    """What answers go by; replaced whole, so that a step sees one state only.

    Attributes:
        views: of each lane.
        corrections: 1 + lanes rows; the first takes nothing: no calibration.
    """

    views: Mapping[Lane, View]
    corrections: Corrections


class _Row(NamedTuple):
    """One embedding that is wanted: by which parameters, of which inputs."""

    lane: Lane
    inputs: np.ndarray


class Engine:
    """The model and the gallery, for one thread that answers and one that publishes."""

    def __init__(
        self,
        model: TwoTower,
        embeddings: np.ndarray,
        settings: Service,
        backend: SearchBackend | None = None,
    ) -> None:
        """Puts the gallery on the device if it is searched exactly; `warm_up` compiles.

        Args:
            model: that made the embeddings.
            embeddings: [N, d] float32 or float16 unit rows.
            settings: checked ones.
            backend: over these rows, names each query's candidates; None: all items are.
        """
        self._model, self._settings = model, settings
        self._gallery = _gallery(model, embeddings, settings, backend)
        self._encoders = {query: self._encoder(query) for query in QUERIES}
        self._constants = {q: self._constants_of(e) for q, e in self._encoders.items()}
        self._embed = {query: embedding(e) for query, e in self._encoders.items()}
        self.lanes = tuple(
            Lane(query, method) for query in QUERIES for method in (*settings.methods, UNADAPTED)
        )
        self._lock = threading.Lock()
        views = {lane: View(self._encoders[lane.query].parameters, None) for lane in self.lanes}
        self._published = _Published(views, self._gallery.no_corrections(1 + len(self.lanes)))
        self._recent = {lane: deque[float](maxlen=_RECENT) for lane in self.lanes}

    @property
    def reach(self) -> int:
        """How many items a query is ranked among, at most."""
        return self._gallery.reach

    def view(self, lane: Lane) -> View:
        """What a lane's answers go by now."""
        return self._published.views[lane]

    def publish(self, lane: Lane, leaves: Sequence[np.ndarray], view: View) -> None:
        """Puts what a lane has learned before its answers, from the next step on.

        Args:
            lane: which.
            leaves: of its parameters, on the host.
            view: everything else of it; its own parameters do not count.
        """
        structure = jax.tree.structure(self._encoders[lane.query].parameters)
        parameters = jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in leaves])
        with self._lock:  # two lanes at once would lose one
            views, corrections = self._published
            views = {**views, lane: replace(view, parameters=parameters)}
            at = 1 + self.lanes.index(lane)
            corrections = self._gallery.corrected(corrections, at, view.correction)
            self._published = _Published(views, corrections)

    def answer(self, asks: Sequence[Ask]) -> list[Answer]:
        """Answers a batch; one thread at a time.

        Args:
            asks: any number, of any lanes; as many as the largest batch size fill one step.
        """
        began = time.perf_counter()
        published = self._published
        queries, weights = self._embedded(asks, published)
        before = [i for i, ask in enumerate(asks) if ask.compare]
        sources = self._embed_rows(
            [_Row(Lane(asks[i].lane.query, UNADAPTED), asks[i].inputs) for i in before], published
        )
        embedded = time.perf_counter()
        which = [1 + self.lanes.index(a.lane) if a.calibration else 0 for a in asks]
        found = self._ranked(
            [*queries, *sources],
            [*which, *[0] * len(before)],
            [*(ask.k for ask in asks), *(asks[i].k for i in before)],
            published.corrections,
        )
        ended = time.perf_counter()
        timings = {"embed": 1e3 * (embedded - began), "rank": 1e3 * (ended - embedded)}
        at = {ask: len(asks) + row for row, ask in enumerate(before)}
        return [
            Answer(
                found[i][0],
                found[at[i]][0] if i in at else None,
                found[i][1],
                self._confident(ask.lane, found[i][1]),
                None if ask.repaired is None else weights.get(i, 0.0),
                published.views[ask.lane].batches,
                dict(timings),
            )
            for i, ask in enumerate(asks)
        ]

    def warm_up(self, said: Callable[[str], None] = lambda _: None) -> None:
        """Compiles everything that answers need, so that no request waits for it.

        Args:
            said: is told what comes next.
        """
        lane = Lane("text", UNADAPTED)
        for query in QUERIES:
            for inputs in self.samples(query):
                said(f"compiling for {query} queries")
                for size in self._settings.batch_sizes:
                    # Copies, because equal rows are embedded once.
                    rows = [_Row(Lane(query, UNADAPTED), inputs.copy()) for _ in range(size)]
                    found = self._embed_rows(rows, self._published)
        for size in self._settings.batch_sizes:
            said(f"compiling the search for {size} at once")
            if self._settings.gsr.rewriter:
                self._fuse([Ask(lane, np.zeros(1, np.int32), 1)] * size, found[:1] * size * 2)
            for k in self._k_sizes():
                rows_k, corrections = [found[0]] * size, self._published.corrections
                self._ranked(rows_k, [0] * size, [k] * size, corrections)

    def samples(self, query: str) -> list[np.ndarray]:
        """Inputs of every padded length that there is."""
        if query == "image":
            return [self._model.prepare_image(Image.new("RGB", (64, 64)))]
        return [self._model.prepare_text(text) for text in _WARM_TEXTS]

    def stacked(self, query: str, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Inputs of several queries as one array, of one of few shapes."""
        return stacked(self._model, query, rows)

    def _encoder(self, query: str) -> QueryEncoder:
        learning = self._settings.learning
        return query_encoder(self._model, query, getattr(learning, f"{query}_parameters"))

    def _constants_of(self, encoder: QueryEncoder) -> Constants:
        none: Any = None  # embedding looks at no gallery
        temperature = jnp.float32(self._model.temperature)
        frozen = jax.device_put(encoder.frozen)
        return Constants(frozen, encoder.parameters, none, temperature, jnp.float32(0))

    def _embedded(
        self, asks: Sequence[Ask], published: _Published
    ) -> tuple[list[np.ndarray], dict[int, float]]:
        """The rows to rank, and the weight of each repair that changes something."""
        mended = [i for i, ask in enumerate(asks) if ask.repair_inputs is not None]
        rows = [_Row(ask.lane, ask.inputs) for ask in asks]
        rows += [_Row(asks[i].lane, asks[i].taken) for i in mended]
        found = self._embed_rows(rows, published)
        queries, weights = found[: len(asks)], {}
        for part in _parts(mended, self._most):
            both = [queries[i] for i in part]
            both += [found[len(asks) + mended.index(i)] for i in part]
            fused, weight = self._fuse([asks[i] for i in part], both)
            for place, i in enumerate(part):
                queries[i], weights[i] = fused[place], float(weight[place])
        return queries, weights

    def _fuse(
        self, asks: Sequence[Ask], both: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        rows = np.stack(both)
        return self._gallery.fuse(
            self._settings.fusion,
            self._settings.gsr.fusion_settings,
            rows[: len(asks)],
            rows[len(asks) :],
            features_of_asks(asks),
        )

    def _embed_rows(self, rows: Sequence[_Row], published: _Published) -> list[np.ndarray]:
        """Embeds rows of all lanes, those of one lane together; equal rows once."""
        found: dict[tuple[Lane, int], np.ndarray] = {}
        groups: dict[Lane, dict[int, np.ndarray]] = {}
        for row in rows:
            groups.setdefault(row.lane, {})[id(row.inputs)] = row.inputs
        for lane, inputs in groups.items():
            parameters = published.views[lane].parameters
            for part in _parts(list(inputs), self._most):
                stack = self.stacked(lane.query, [inputs[key] for key in part])
                stack = padded(stack, self._settings.batch_sizes)
                constants = self._constants[lane.query]
                embedded = np.asarray(self._embed[lane.query](parameters, constants, stack))
                found.update({(lane, key): embedded[at] for at, key in enumerate(part)})
        return [found[row.lane, id(row.inputs)] for row in rows]

    def _ranked(
        self,
        queries: Sequence[np.ndarray],
        which: Sequence[int],
        ks: Sequence[int],
        corrections: Corrections,
    ) -> list[tuple[Ranked, float]]:
        answers: list[tuple[Ranked, float]] = []
        for part in _parts(range(len(queries)), self._most):
            wanted = max(ks[i] for i in part)
            k = next(size for size in self._k_sizes() if size >= wanted)
            rows, lanes = np.stack([queries[i] for i in part]), [which[i] for i in part]
            best = self._gallery.rank(rows, np.asarray(lanes, np.int32), corrections, k)
            for at, i in enumerate(part):
                positions, scores = np.asarray(best.positions[at]), np.asarray(best.scores[at])
                there = np.flatnonzero(positions >= 0)[: ks[i]]
                ranked = Ranked(positions[there], scores[there])
                answers.append((ranked, float(best.entropy[at])))
        return answers

    def _k_sizes(self) -> list[int]:
        most = min(self._settings.limits.k, self.reach)
        return [*(size for size in K_SIZES if size < most), most]

    @property
    def _most(self) -> int:
        return self._settings.batch_sizes[-1]

    def _confident(self, lane: Lane, entropy: float) -> bool:
        recent = self._recent[lane]
        recent.append(entropy)
        return bool(entropy <= np.quantile(recent, self._settings.confident_share))


def _gallery(
    model: TwoTower, embeddings: np.ndarray, settings: Service, backend: SearchBackend | None
) -> Gallery:
    if backend is None:
        return ExactGallery(embeddings, model.temperature, settings.batch_sizes)
    return CandidateGallery(
        embeddings, backend, settings.candidates, model.temperature, settings.batch_sizes
    )


def stacked(model: TwoTower, query: str, rows: Sequence[np.ndarray]) -> np.ndarray:
    """Inputs of several queries as one array: [n, h, w, c] pixels, or [n, length] ids.

    Few lengths occur, so that few shapes compile.
    """
    if query == "image":
        return np.stack(rows)
    longest = max(len(row) for row in rows)
    return model.pad_texts(rows, one_length=longest > _SHORT)


def _parts(items: Sequence[Any], most: int) -> list[Sequence[Any]]:
    return [items[start : start + most] for start in range(0, len(items), most)]
