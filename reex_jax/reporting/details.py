"""What a run keeps of each stream beside its line in metrics.jsonl: one small .npz file each.

Per batch: `end` (queries of the stream until then), `hits_*`, `loss`, `confident`, `distance`,
`distinct_*` (different first items so far), `seconds`, `skipped`, `restored`. `clean_at` and
`clean_*`: recall@1 of clean queries with the parameters of that moment. `hubs1_*`, `hubs10_*`: how
often each gallery item was first, and among the first ten. `reliability_*`: bins of confidence.
`examples`: positions in the data set of some queries; `example_items_*`, `example_sure_*` and
`example_rank_*`: what they found. * is a ranking, "plain" or "calibrated".
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

K = 10
"""Items of each query that are looked at."""

BINS = 10
"""Of confidence, equally wide from 0 to 1."""


@dataclass(frozen=True, eq=False)
class StreamDetails:
    """Arrays by name, see above."""

    arrays: Mapping[str, np.ndarray]

    def get(self, name: str) -> np.ndarray | None:
        """An array; None where it was not kept."""
        return self.arrays.get(name)

    def save(self, path: Path) -> None:
        """Writes them; readers see the old file or the new one, never half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **self.arrays)
        part.replace(path)


Details: TypeAlias = dict[Any, StreamDetails]
"""Stream -> what was kept of it."""


def load_details(path: Path) -> StreamDetails | None:
    """What a file holds; None where there is none, as in folders of earlier versions.

    Raises:
        ValueError: it is damaged.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return StreamDetails({name: file[name] for name in file.files})
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error


def reliability(confidence: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """[BINS, 3] float64: queries in each bin of confidence, sum of confidence, and hits.

    Args:
        confidence: [n] in [0, 1]; what is not finite counts as 0.
        hits: [n] bool.
    """
    confidence = np.clip(np.nan_to_num(confidence.astype(np.float64)), 0, 1)
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    columns = (np.ones(len(which)), confidence, hits.astype(np.float64))
    return np.stack([np.bincount(which, weights=c, minlength=BINS) for c in columns], axis=1)


def expected_calibration_error(bins: np.ndarray) -> float:
    """Mean distance of confidence and share of hits over bins, each by its queries (Guo, 2017)."""
    counts, confidence, hits = bins.T
    return float(np.abs(confidence - hits).sum() / max(counts.sum(), 1))
