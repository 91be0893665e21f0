"""Queries under our own corruptions, with corrupted images kept on disk."""

import hashlib
import importlib.metadata
import logging
import threading
from functools import partial
from pathlib import Path

from PIL import Image

import reex_jax.corruptions
from reex_jax.corruptions.text.sentences import SentenceRewrites
from reex_jax.datasets.corrupted_cache import CachedImages, data_digest, open_cache
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.queries.own import Query, corrupted_array, own_query
from reex_jax.queries.streams import Stream
from reex_jax.settings.choices import CLEAN, IMAGE_TO_TEXT

_LIBRARIES = ("numpy", "scipy", "pillow")
_log = logging.getLogger(__name__)


class CachedQueries:
    """`own_query` with corrupted images kept on disk.

    The first query of a corruption, severity and seed opens its file, or makes all its images;
    other threads wait for that. A damaged record is made anew for this run, and its file is
    removed, so that the next run writes it again.
    """

    def __init__(
        self,
        data: RetrievalSet,
        folder: str,
        workers: int,
        sentences: SentenceRewrites | None = None,
    ) -> None:
        """`folder` holds the files; `workers` threads make images that are not there yet.

        `sentences` is where sentence kinds look up their texts.
        """
        self._data = data
        self._sentences = sentences
        self._folder = folder
        self._workers = workers
        self._identity = {"data": data_digest(data), "code": corruption_version()}
        self._opened: dict[Stream, CachedImages | None] = {}
        self._lock = threading.Lock()

    def __call__(self, stream: Stream, position: int) -> Query:
        """See `QuerySource`."""
        if stream.direction == IMAGE_TO_TEXT and stream.corruption != CLEAN:
            images = self._images(stream)
            if images is not None:
                try:
                    return Image.fromarray(images[position])
                except ValueError as error:
                    _log.warning("%s; made anew", error)
                    images.path.unlink(missing_ok=True)
        return own_query(self._data, stream, position, self._sentences)

    def _images(self, stream: Stream) -> CachedImages | None:
        with self._lock:
            if stream not in self._opened:
                key = {name: vars(stream)[name] for name in ("corruption", "severity", "seed")}
                self._opened[stream] = open_cache(
                    self._folder,
                    self._identity | key,
                    len(self._data.image_ids),
                    partial(corrupted_array, self._data, stream),
                    workers=self._workers,
                )
            return self._opened[stream]


def corruption_version() -> str:
    """Changes with our code of corruptions, and with the libraries that compute them."""
    digest = hashlib.sha256()
    for library in _LIBRARIES:
        digest.update(f"{library} {importlib.metadata.version(library)}\n".encode())
    folder = Path(reex_jax.corruptions.__file__).parent
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()
