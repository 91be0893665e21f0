"""Indexes: embeddings, ids, captions and thumbnails of many items; a folder opens at once."""

from reex_jax.index.opened import Index, open_index

__all__ = ["Index", "open_index"]
