"""Keeps a few queries of a run as people see them: pictures, captions, repairs, right answers.

`examples/<direction>.queries.jsonl` and `.items.jsonl` in the results folder, a line each; what the
methods found stands in each stream's details, by position. A pass that is repeated adds nothing.
"""

import base64
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from reex_jax.benchmark.prepared import Prepared
from reex_jax.gsr.fusion import FUSIONS
from reex_jax.queries.streams import Stream, chosen_queries
from reex_jax.reporting.details import StreamDetails
from reex_jax.reporting.example_lines import read_examples
from reex_jax.settings.choices import CLEAN, TEXT_TO_IMAGE
from reex_jax.settings.experiment import Experiment

SHOWN = 3
"""Items of each ranking whose picture or caption is kept."""

MOST_ITEMS = 2000
"""Of a direction; what comes later has its position alone."""

_PIXELS = 128


def example_positions(experiment: Experiment, stream: Stream, count: int) -> frozenset[int]:
    """Which queries of a stream are kept, the same for every method and corruption.

    Only of the first seed and of the highest severity, so that the files stay small.

    Args:
        experiment: says how many.
        stream: which.
        count: queries of its direction.
    """
    severities = experiment.severities(stream.corruption)
    highest = stream.corruption == CLEAN or stream.severity == max(severities)
    if stream.seed != experiment.seeds[0] or not highest or not experiment.record.details:
        return frozenset()
    asked = chosen_queries(count, experiment.max_queries)
    order = np.random.default_rng(1).permutation(len(asked))[: experiment.record.examples]
    return frozenset(int(asked[i]) for i in order)


class Examples:
    """The examples of one results folder."""

    def __init__(self, run: Prepared) -> None:
        """`run`: what its passes share."""
        self._folder = run.folder.path / "examples"
        self._experiment, self._model, self._data = run.experiment, run.model, run.data
        self._source, self._repairs = run.source, run.repairs
        self._known: dict[Path, set[str]] = {}

    def keep(self, stream: Stream, details: StreamDetails, gallery: np.ndarray) -> None:
        """Writes the queries of a stream that are kept, and what they found.

        Args:
            stream: which.
            details: of a method on it.
            gallery: [N, d] float32 of its direction.
        """
        positions = details.arrays["examples"].tolist()
        if not positions:
            return
        queries = self._folder / f"{stream.direction}.queries.jsonl"
        keys = [f"{stream.corruption}/{stream.severity}/{stream.seed}/{p}" for p in positions]
        if not set(keys) <= self._keys(queries):
            made = [self._source(stream, position) for position in positions]
            repairs = self._repaired(stream, made, gallery)
            lines = [
                self._query(key, stream, position, query) | repair
                for key, position, query, repair in zip(keys, positions, made, repairs, strict=True)
            ]
            self._append(queries, lines)
        items = self._folder / f"{stream.direction}.items.jsonl"
        answers = self._data.answers(stream.direction)[positions]
        found = [details.arrays[n][:, :SHOWN] for n in details.arrays if "example_items" in n]
        wanted = np.unique(np.concatenate([part.ravel() for part in (answers, *found)]))
        room = max(0, MOST_ITEMS - len(self._keys(items)))
        new = [int(p) for p in wanted if p >= 0 and str(p) not in self._keys(items)][:room]
        self._append(items, [self._item(stream.direction, position) for position in new])

    def _query(self, key: str, stream: Stream, position: int, query: Any) -> dict[str, Any]:
        texts = stream.direction == TEXT_TO_IMAGE
        clean: Any = self._data.captions[position] if texts else self._data.images[position]
        return {
            "key": key,
            "id": (self._data.caption_ids if texts else self._data.image_ids)[position],
            "answers": [int(a) for a in self._data.answers(stream.direction)[position] if a >= 0],
            "query": _shown(query),
            "clean": None if stream.corruption == CLEAN else _shown(clean),
        }

    def _item(self, direction: str, position: int) -> dict[str, Any]:
        item: Image.Image | str
        if direction == TEXT_TO_IMAGE:
            identity, item = self._data.image_ids[position], self._data.images[position]
        else:
            identity, item = self._data.caption_ids[position], self._data.captions[position]
        return {"key": str(position), "id": identity, "item": _shown(item)}

    def _repaired(
        self, stream: Stream, queries: Sequence[Any], gallery: np.ndarray
    ) -> list[dict[str, Any]]:
        """Each query's repair with its confidences, and its weight for the source model."""
        if self._repairs is None or not self._experiment.repairs(stream.direction):
            return [{} for _ in queries]
        repaired, features = self._repairs.lookup(queries)
        gsr = self._experiment.gsr
        _, weights = FUSIONS[gsr.fusion](
            _array(self._model.encode_texts(queries)),
            _array(self._model.encode_texts(repaired)),
            features,
            _array(gallery),
            _array(self._model.temperature),
            gsr.fusion_settings,
        )
        columns = (repaired, features.generation, 1 - features.edit, np.asarray(weights))
        return [
            {
                "repaired": text,
                "generation": round(float(generation), 4),
                "edit": round(float(edit), 4),
                "weight": round(float(weight), 4),
            }
            for text, generation, edit, weight in zip(*columns, strict=True)
        ]

    def _keys(self, path: Path) -> set[str]:
        if path not in self._known:
            self._known[path] = {line["key"] for line in read_examples(path)}
        return self._known[path]

    def _append(self, path: Path, lines: Iterable[dict[str, Any]]) -> None:
        lines = [line for line in lines if line["key"] not in self._keys(path)]
        if not lines:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = not path.exists() or path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            # After a crash the last line may lack its end.
            file.write(("" if whole else "\n") + "".join(json.dumps(line) + "\n" for line in lines))
        self._keys(path).update(line["key"] for line in lines)


def _shown(query: Image.Image | str) -> dict[str, str]:
    """A caption as it is, a picture small and in the address of an image."""
    if isinstance(query, str):
        return {"text": query}
    picture = query.convert("RGB")
    picture.thumbnail((_PIXELS, _PIXELS))
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=80, method=4)
    return {"image": "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()}


def _array(values: Any) -> jax.Array:
    return jnp.asarray(values, jnp.float32)
