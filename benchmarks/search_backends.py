"""Recall of search back ends against exact search, and of calibration on candidates.

    python -m benchmarks.search_backends [--items=20000] [--dim=128]

Two sets of unit vectors: random ones, the hardest case, in which nothing is near to anything; and
clustered ones, as real embeddings are (one cluster for every 50 items, noise of the centre's
length). Queries are noisy copies of items. Then scenes: recall@1 of image queries under noise among
the captions, uncalibrated, calibrated exactly, and calibrated on candidates. Last the service:
which of the exact one's calibrated results it finds among candidates.
"""

import argparse
import time

import jax
import numpy as np
from PIL import Image

from reex_jax.adaptation.adapter import Adapter
from reex_jax.corruptions.image.kinds import corrupt_image
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.datasets.scenes import load_scenes
from reex_jax.index.backends.exact import ExactSearch
from reex_jax.index.backends.faiss_graph import FaissGraph
from reex_jax.index.backends.protocol import SearchBackend
from reex_jax.index.backends.usearch_graph import UsearchGraph
from reex_jax.index.candidates import CandidateAdapter
from reex_jax.models.load import load_model
from reex_jax.service.asked import Ask, Lane, View
from reex_jax.service.engine import Engine
from reex_jax.settings.ranking import Ranking
from reex_jax.settings.search import Search
from reex_jax.settings.service import Service

QUERIES = 500


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def vectors(kind: str, items: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and queries."""
    rng = np.random.default_rng(0)
    rows = unit(rng.normal(size=(items, dim)))
    if kind == "clustered":
        centres = unit(rng.normal(size=(-(-items // 50), dim)))
        rows = unit(rows + centres[rng.integers(len(centres), size=items)])
    queries = rows[rng.integers(items, size=QUERIES)] + unit(rng.normal(size=(QUERIES, dim)))
    return rows, unit(queries)


def recall(found: np.ndarray, right: np.ndarray) -> float:
    hits = [len(set(a) & set(b)) for a, b in zip(found, right, strict=True)]
    return 100 * float(np.mean(hits)) / right.shape[1]


def graphs(items: int, dim: int) -> None:
    print("| vectors | back end | expansion_search | recall@10 | recall@100 | build s | query ms |")
    print("|---|---|---|---|---|---|---|")
    for kind in ("random", "clustered"):
        rows, queries = vectors(kind, items, dim)
        _, right = ExactSearch(rows, 1).search(queries, 100)
        for make in (UsearchGraph, FaissGraph):
            began = time.perf_counter()
            graph = make(rows, Search())
            built = time.perf_counter() - began
            for expansion in (32, 128, 512):
                for name in ("_expansion", "_settings"):
                    if hasattr(graph, name):
                        changed = Search(expansion_search=expansion)
                        setattr(graph, name, expansion if name == "_expansion" else changed)
                began = time.perf_counter()
                _, ten = graph.search(queries, 10)
                each = 1000 * (time.perf_counter() - began) / len(queries)
                _, hundred = graph.search(queries, 100)
                values = f"{recall(ten, right[:, :10]):.1f} | {recall(hundred, right):.1f}"
                line = f"{kind} | {make.__name__} | {expansion} | {values} | {built:.1f}"
                print(f"| {line} | {each:.2f} |", flush=True)


def scenes(images: int) -> None:
    model, data = load_model(), load_scenes(images)
    rows = model.encode_texts(data.captions)
    queries = [corrupted(data, i) for i in range(images)]
    backend = ExactSearch(rows, 1)
    searches = {
        "uncalibrated": Adapter(
            model, rows, query="image", method="none", ranking=Ranking(calibration="off")
        ),
        "calibrated exactly": Adapter(model, rows, query="image", method="none"),
    }
    for candidates in (10, 20, 50):
        searches[f"{candidates} candidates"] = CandidateAdapter(
            model, rows, backend, query="image", method="none", candidates=candidates
        )
    print("| ranking | recall@1 |\n|---|---|")
    for name, search in searches.items():
        hits = []
        for start in range(0, images, 64):
            best = search.search(queries[start : start + 64], 1).indices[:, 0]
            hits += (data.caption_image[best] == np.arange(start, start + len(best))).tolist()
        print(f"| {name} | {100 * np.mean(hits):.1f} |", flush=True)


def corrupted(data: RetrievalSet, position: int) -> Image.Image:
    array = np.asarray(data.images[position].convert("RGB"))
    name = data.image_ids[position]
    return Image.fromarray(corrupt_image(array, "gaussian_noise", 3, item_id=name, seed=0))


def service(items: int) -> None:
    """Pictures are a thousand scenes and noisy copies of their embeddings; captions ask."""
    model, data, rng = load_model(), load_scenes(1000), np.random.default_rng(0)
    rows = model.encode_images([data.images[i] for i in range(1000)])[np.arange(items) % 1000]
    rows[1000:] += 0.5 * unit(rng.normal(size=rows[1000:].shape))
    rows = unit(rows)
    learned = Adapter(model, rows, query="text", method="none")
    for start in range(500, 1500, 50):
        learned.adapt(data.captions[start : start + 50])
    view, lane = View(None, np.asarray(learned.correction())), Lane("text", "reex")
    asks = [Ask(lane, model.prepare_text(text), 100) for text in data.captions[:500]]

    def ranked(backend: SearchBackend | None, candidates: int) -> np.ndarray:
        engine = Engine(model, rows, Service(candidates=candidates), backend)
        engine.publish(lane, jax.tree.leaves(engine.view(lane).parameters), view)
        return np.array([answer.ranked.positions for answer in engine.answer(asks)])

    right, backend = ranked(None, 1), ExactSearch(rows, 1)
    print("| candidates | @10 | @100 |\n|---|---|---|")
    for candidates in (100, 200, 500, 1000):
        found = ranked(backend, candidates)
        ten, hundred = (recall(found[:, :k], right[:, :k]) for k in (10, 100))
        print(f"| {candidates} | {ten:.1f} | {hundred:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--images", type=int, default=1000)
    given = parser.parse_args()
    graphs(given.items, given.dim)
    scenes(given.images)
    service(given.items)


if __name__ == "__main__":
    main()
