"""Reads entries and makes the model's inputs of them, in threads, in order; faults are values."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from reex_jax.datasets.skipped import Skipped
from reex_jax.errors import UserError
from reex_jax.index.entries import Entry
from reex_jax.index.pictures import picture_of, thumbnail_of
from reex_jax.models.two_tower import TwoTower
from reex_jax.settings.indexing import Indexing

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, eq=False)
class Prepared:
    """An item that is ready for the model.

    Attributes:
        entry: where it is from.
        caption: "" for a picture without.
        thumbnail: empty for a text.
        inputs: pixels [h, w, c] float32, or token ids [length] int32.
    """

    entry: Entry
    caption: str
    thumbnail: bytes
    inputs: np.ndarray


def preparation(
    model: TwoTower, modality: str, settings: Indexing
) -> Callable[[Entry], Prepared | Skipped]:
    """What makes an item of an entry; safe in several threads, never raises for a bad item.

    Raises:
        UserError: the model cannot prepare such items.
    """
    model.check_query(modality)

    def picture(entry: Entry) -> Prepared:
        content, caption = entry.read()
        image = picture_of(content, entry.id, settings.max_pixels)
        pixels = model.prepare_image(image)
        return Prepared(entry, caption, thumbnail_of(image, settings.thumbnail), pixels)

    def text(entry: Entry) -> Prepared:
        _, caption = entry.read()
        return Prepared(entry, caption, b"", model.prepare_text(caption))

    prepare = picture if modality == "image" else text

    def guarded(entry: Entry) -> Prepared | Skipped:
        try:
            return prepare(entry)
        except UserError as error:
            return Skipped(entry.id, str(error).removeprefix(f"{entry.id}: "))
        except MemoryError:
            return Skipped(entry.id, "not enough memory; make the picture smaller")
        except (OSError, ValueError) as error:
            return Skipped(entry.id, f"{type(error).__name__}: {error}")

    return guarded


def in_order(
    function: Callable[[In], Out], items: Iterable[In], workers: int, ahead: int
) -> Iterator[Out]:
    """The function's values in the order of the items, at most `ahead` of them early.

    Args:
        function: called in threads.
        items: taken when their turn comes.
        workers: threads; 0 for none.
        ahead: how many items are under way at once.
    """
    if not workers:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[Out]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
