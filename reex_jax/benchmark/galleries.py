"""The clean gallery of a direction, embedded by all processes together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from reex_jax import hosts
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.models.two_tower import TwoTower
from reex_jax.retrieval.gallery import Gallery, Items, embed_gallery
from reex_jax.settings.choices import TEXT_TO_IMAGE

Encoder = Callable[[Sequence[Any]], np.ndarray]


@dataclass(frozen=True)
class _Part:
    """Some neighbours among items, loaded when they are asked for."""

    items: Items
    positions: range

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int, /) -> Any:
        return self.items[self.positions[index]]


def build_gallery(
    model: TwoTower, data: RetrievalSet, direction: str, *, progress: bool
) -> Gallery:
    """Embeds the clean gallery of a direction with the source model; each process its part."""
    encode: Encoder
    items: Items
    if direction == TEXT_TO_IMAGE:
        encode, items, ids, what = model.encode_images, data.images, data.image_ids, "images"
    else:
        encode, items, ids, what = model.encode_texts, data.captions, data.caption_ids, "captions"
    count = len(items)
    shared = count >= jax.process_count() > 1
    part = hosts.own_part(count) if shared else slice(0, count)
    gallery = embed_gallery(
        encode,
        _Part(items, range(count)[part]),
        ids[part],
        batch_size=model.batch_size,
        describe=f"gallery: {what}",
        progress=progress,
    )
    if not shared:
        return gallery
    return Gallery(hosts.concatenated(gallery.embeddings, count), tuple(ids))
