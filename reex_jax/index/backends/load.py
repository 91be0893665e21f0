"""The back end that settings name, for an index; a graph is kept in the index's folder."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import numpy as np

from reex_jax.errors import UserError
from reex_jax.index.backends.exact import ExactSearch
from reex_jax.index.backends.faiss_graph import FaissGraph
from reex_jax.index.backends.protocol import LIBRARIES, SearchBackend, optional
from reex_jax.index.backends.qdrant import QdrantSearch
from reex_jax.index.backends.usearch_graph import UsearchGraph
from reex_jax.index.opened import Index
from reex_jax.settings.search import EXACT, Search

_GRAPHS: dict[str, type[UsearchGraph] | type[FaissGraph]] = {
    "usearch": UsearchGraph,
    "faiss": FaissGraph,
}


def check_installed(settings: Search) -> None:
    """Refuses a back end whose library is missing, before anything is loaded for it.

    Raises:
        UserError: says what to install.
    """
    if settings.backend in LIBRARIES:
        optional(*LIBRARIES[settings.backend])


def make_backend(rows: np.ndarray, settings: Search) -> SearchBackend:
    """Makes a back end over rows [N, D]; a graph is kept nowhere.

    Raises:
        UserError: a library is missing, or a server does not answer.
    """
    if settings.backend == EXACT:
        return ExactSearch(rows, settings.devices)
    if settings.backend == "qdrant":
        return QdrantSearch(rows, settings)
    return _GRAPHS[settings.backend](rows, settings)


def open_backend(index: Index, settings: Search) -> SearchBackend:
    """Makes a back end over an index's embeddings.

    A graph is built once and written beside them; later it is read, and grows by what was added
    since. After a removal it is built anew.

    Raises:
        UserError: a library is missing, or a server does not answer.
    """
    if settings.backend not in _GRAPHS:
        return make_backend(index.embeddings, settings)
    make, place = _GRAPHS[settings.backend], _graph_file(index, settings)
    size = _saved_size(place)
    if size is not None and size <= len(index):
        try:
            graph = make(index.embeddings, settings, place)
        except UserError:
            raise
        except Exception:  # torn, or of another version: it is only a cache
            graph = make(index.embeddings, settings)
            size = None
    else:
        graph = make(index.embeddings, settings)
    if size != len(index):
        _save(graph, place)
    return graph


def _graph_file(index: Index, settings: Search) -> Path:
    """Inside the folder of the rows, so that it goes away with them."""
    build = f"{settings.connectivity} {settings.expansion_add}"
    key = hashlib.sha256(build.encode()).hexdigest()[:8]
    return index.folder / index.manifest.rows / f"graph-{key}.{settings.backend}"


def _saved_size(place: Path) -> int | None:
    """How many rows a graph was saved with; None if there is none that is whole."""
    try:
        size = json.loads(place.with_suffix(".json").read_text("utf-8"))["items"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return size if isinstance(size, int) and place.is_file() else None


def _save(graph: UsearchGraph | FaissGraph, place: Path) -> None:
    """The note goes first and comes last: a graph without it does not count."""
    try:
        place.with_suffix(".json").unlink(missing_ok=True)
        graph.save(place)
        place.with_suffix(".json").write_text(json.dumps({"items": len(graph)}), "utf-8")
    except Exception:  # a full disk, a folder that is only read: then it is built each time
        with suppress(OSError):  # there nothing can be taken away either
            place.unlink(missing_ok=True)
