"""Corrupted images kept on disk, so that a slow corruption is computed once and not once a run.

One array_record file for each corruption, severity and seed, as raw pixels (compressed by the
format, which also guards every record by a hash). The first record says what the file holds; a
file that holds something else, or is torn, is made anew.
"""

import hashlib
import json
import logging
import os
import platform
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from array_record.python import array_record_module as array_record

from reex_jax.datasets.image_files import ImageFiles
from reex_jax.datasets.retrieval_set import RetrievalSet

ImageKey = Mapping[str, str | int]
"""All that the images of one file depend on."""
Make = Callable[[int], np.ndarray]
"""A position -> its corrupted image, uint8 [h, w, 3]."""

_FORMAT = 1
_WRITE = "group_size:1,zstd:1"
# One record at a time, from anywhere in the file.
_READ = "readahead_buffer_size:0,max_parallelism:0"
_SIZE = struct.Struct("<II")
_log = logging.getLogger(__name__)


def data_digest(data: RetrievalSet) -> str:
    """What tells one data set's images from another's: names, ids, files with size and time."""
    digest = hashlib.sha256()
    for part in (data.name, data.source, *data.image_ids):
        digest.update(json.dumps(part).encode())
    if isinstance(data.images, ImageFiles):
        for path in data.images.paths:
            status = path.stat()
            digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class CachedImages:
    """The images of one file, by position; safe to use from several threads.

    Attributes:
        path: the file.
        reader: of array_record.
    """

    path: Path
    reader: Any = field(repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __getitem__(self, position: int) -> np.ndarray:
        """The image at `position`, uint8 [h, w, 3].

        Raises:
            ValueError: the record is damaged.
        """
        try:
            with self.lock:
                (record,) = self.reader.read([position + 1])
            return _array(record)
        except Exception as error:  # array_record raises RuntimeError, IndexError and others
            raise ValueError(f"{self.path}: image {position} is damaged ({error})") from error


def open_cache(
    folder: str | Path, key: ImageKey, count: int, make: Make, *, workers: int
) -> CachedImages | None:
    """Opens the file of a key; if it is missing, wrong or torn, makes all images and writes it.

    The file appears complete or not at all, so several processes may do this at once.

    Args:
        folder: where all files lie; made if it is missing.
        key: all that the images depend on; compared whole, not by hash alone.
        count: how many images there are.
        make: called for each position, in `workers` threads.
        workers: 0 makes the images one after the other.

    Returns:
        None if the images cannot be made or written (a damaged image, a full disk), which is
        logged: the run goes on without the file, and meets the damaged image in its turn.
    """
    header = json.dumps({"format": _FORMAT, "count": count, **key}, sort_keys=True).encode()
    path = Path(folder) / f"{hashlib.sha256(header).hexdigest()[:32]}.array_record"
    opened = _opened(path, header, count)
    if opened is not None:
        return opened
    # Hosts may share the folder.
    writer = f"{platform.node()}-{os.getpid()}-{threading.get_ident()}"
    partial = path.with_suffix(f".{writer}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(partial, header, count, make, workers)
        partial.replace(path)
    except Exception as error:
        partial.unlink(missing_ok=True)
        _log.warning("%s: not written (%s); going on without it", path, error)
        return None
    return _opened(path, header, count)


def _opened(path: Path, header: bytes, count: int) -> CachedImages | None:
    if not path.is_file():
        return None
    try:
        reader = array_record.ArrayRecordReader(str(path), _READ)
        whole = reader.num_records() == count + 1 and reader.read([0])[0] == header
    except Exception as error:
        _log.warning("%s: damaged (%s); made anew", path, error)
        return None
    if not whole:
        _log.warning("%s: torn, or made of something else; made anew", path)
        return None
    return CachedImages(path, reader)


def _write(path: Path, header: bytes, count: int, make: Make, workers: int) -> None:
    import grain.python as grain  # it imports JAX, which only looking up texts must not need

    options = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=4 * workers)
    images = iter(grain.MapDataset.range(count).map(make).to_iter_dataset(options))
    writer = array_record.ArrayRecordWriter(str(path), _WRITE)
    try:
        writer.write(header)
        for image in images:
            writer.write(_record(image))
    finally:
        images.close()
        writer.close()


def _record(image: np.ndarray) -> bytes:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"an image is uint8 [h, w, 3], not {image.dtype} {list(image.shape)}")
    return _SIZE.pack(*image.shape[:2]) + image.tobytes()


def _array(record: bytes) -> np.ndarray:
    height, width = _SIZE.unpack_from(record)
    return np.frombuffer(record, np.uint8, offset=_SIZE.size).reshape(height, width, 3)
