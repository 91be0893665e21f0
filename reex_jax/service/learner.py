"""What learns: one adapter for each lane, made when it is first needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from reex_jax.adaptation.adapter import Adapter
from reex_jax.adaptation.fused import FusedTexts
from reex_jax.errors import UserError
from reex_jax.gsr.features import FusionFeatures
from reex_jax.models.two_tower import TwoTower
from reex_jax.service.asked import Ask, Lane, features_of_asks
from reex_jax.service.engine import stacked
from reex_jax.service.kept import kept_folder, replace_folder
from reex_jax.settings.fields import Settings
from reex_jax.settings.service import Service


class Rows(NamedTuple):
    """A batch to learn from, as it goes from process to process.

    Attributes:
        inputs: pixels or token ids of the queries.
        repaired: token ids of their repairs, of the same length; None where nothing is fused.
        features: four arrays [n] float32; None likewise.
    """

    inputs: np.ndarray
    repaired: np.ndarray | None = None
    features: FusionFeatures | None = None


class Learned(NamedTuple):
    """What a lane knows now.

    Attributes:
        lane: which.
        leaves: its parameters.
        correction: [N] float32 or None, see `View`.
        batches: that it has learned from.
        restored: how often a ruined model was put back to the source.
        diagnostics: of the batch; empty where none was learned.
    """

    lane: Lane
    leaves: list[np.ndarray]
    correction: np.ndarray | None
    batches: int
    restored: int
    diagnostics: Mapping[str, float]


@dataclass
class Learner:
    """Adapters by lane, for one thread.

    Attributes:
        model: the source.
        embeddings: of the gallery.
        ids: of its items.
        settings: checked ones.
        folder: where what was learned is kept.
    """

    model: TwoTower
    embeddings: np.ndarray
    ids: Sequence[str]
    settings: Service
    folder: Path

    def __post_init__(self) -> None:
        self._rows = np.asarray(self.embeddings, np.float32)
        self._adapters: dict[Lane, Adapter] = {}

    def learn(self, lane: Lane, rows: Rows) -> Learned:
        """Learns from one batch of at most `learning.batch_size` queries."""
        queries: Any = rows.inputs
        if rows.repaired is not None and rows.features is not None:
            ids: Any = (rows.inputs, rows.repaired)
            queries = FusedTexts(ids[0], ids[1], rows.features)
        _, diagnostics = self._adapter(lane).adapt(queries)
        return self._known(lane, diagnostics)

    def reset(self) -> list[Learned]:
        """Forgets everything, in every lane."""
        for adapter in self._adapters.values():
            adapter.reset()
        return [self._known(lane, {}) for lane in self._adapters]

    def save(self) -> int:
        """Writes what lanes learned to their folders, whole or not at all; returns how many."""
        saved = 0
        for lane, adapter in self._adapters.items():
            folder = self.folder / _name(lane)
            if int(adapter.state.batches) or kept_folder(folder):
                replace_folder(folder, adapter.save)
                saved += 1
        return saved

    def restore(self, lanes: Sequence[Lane]) -> tuple[list[Learned], list[str]]:
        """Goes on from what was saved.

        Returns:
            what each restored lane knows, and a line for each whose folder does not fit; these
            begin with the source model, and their folder is put aside.
        """
        known, trouble = [], []
        for lane in lanes:
            folder = kept_folder(self.folder / _name(lane))
            if folder is None:
                continue
            try:
                self._adapter(lane).restore(folder)
            except UserError as error:
                aside = folder.with_name(f"{folder.name}-unfit")
                replace_folder(aside, folder.rename, make=False)
                trouble.append(f"{error}; starting from the source model, {aside} has the old one")
                continue
            known.append(self._known(lane, {}))
        return known, trouble

    def warm_up(self, lane: Lane, rows: Rows) -> None:
        """Compiles the update for such a batch; what was learned stays as it is."""
        adapter = self._adapter(lane)
        before = adapter.state
        self.learn(lane, rows)
        adapter.state = before

    def _adapter(self, lane: Lane) -> Adapter:
        if lane not in self._adapters:
            self._adapters[lane] = self._made(lane)
        return self._adapters[lane]

    def _made(self, lane: Lane) -> Adapter:
        settings, learning = self.settings, self.settings.learning
        own = settings.settings.of(lane.method, lane.query)
        values = own.to_dict() if isinstance(own, Settings) else dict(own)
        fusion: dict[str, Any] = {}
        if lane.query == "text" and settings.gsr.rewriter:
            fusion = {"fusion": settings.fusion, "fusion_settings": settings.gsr.fusion_settings}
        return Adapter(
            self.model,
            self._rows,
            query=lane.query,
            ids=self.ids,
            method=lane.method,
            ranking=settings.ranking,
            steps=learning.steps,
            score="before",
            parameters=getattr(learning, f"{lane.query}_parameters"),
            batch_size=learning.batch_size,
            **fusion,
            **values,
        )

    def _known(self, lane: Lane, diagnostics: Mapping[str, float]) -> Learned:
        adapter = self._adapters[lane]
        state, correction = adapter.state, adapter.correction()
        return Learned(
            lane,
            [np.asarray(leaf) for leaf in jax.tree.leaves(state.parameters)],
            None if correction is None else np.asarray(correction),
            int(state.batches),
            int(state.restored),
            diagnostics,
        )


def rows_of(model: TwoTower, asks: Sequence[Ask], fuses: bool) -> Rows:
    """Searches of one lane as a batch to learn from.

    Args:
        model: pads.
        asks: at least one.
        fuses: whether text queries are learned from together with their repairs.
    """
    query, inputs = asks[0].lane.query, [ask.inputs for ask in asks]
    if query == "image" or not fuses:
        return Rows(stacked(model, query, inputs))
    both = stacked(model, query, [*inputs, *(ask.taken for ask in asks)])
    return Rows(both[: len(asks)], both[len(asks) :], features_of_asks(asks))


def _name(lane: Lane) -> str:
    return f"{lane.query}-{lane.method}"


def describe(learned: Learned) -> dict[str, Any]:
    """What the history says of a batch."""
    return {**learned.lane._asdict(), **learned.diagnostics, "batches": learned.batches}
