"""What searches an index: `search.*`."""

from dataclasses import dataclass

from reex_jax.settings.checks import integer, one_of, text
from reex_jax.settings.fields import Settings, setting

EXACT = "exact"
BACKENDS = (EXACT, "usearch", "faiss", "qdrant")


@dataclass(frozen=True)
class Search(Settings):
    """A search back end (docs/indexes.md)."""

    backend: str = setting(EXACT, "what finds the nearest items", one_of(BACKENDS))
    devices: int = setting(0, "that share an exact search; 0 for all", integer(0))
    connectivity: int = setting(16, "neighbours of an item in a graph", integer(2, 512))
    expansion_add: int = setting(128, "candidates while a graph is built", integer(1, 65536))
    expansion_search: int = setting(128, "candidates while a graph is searched", integer(1, 65536))
    qdrant: str = setting("", "address of a Qdrant server, or a folder of its own", text)
    collection: str = setting("reex", "Qdrant's collection", text)
