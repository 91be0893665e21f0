"""RetrievalSet: images, captions and which caption belongs to which image."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from reex_jax.errors import UserError, unknown
from reex_jax.settings.choices import DIRECTIONS, IMAGE_TO_TEXT, TEXT_TO_IMAGE

_NAMED = 5  # how many offenders an error names before it only counts


class Images(Protocol):
    """Images by position; whoever implements it may load an image only when it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Image.Image: ...


@dataclass(frozen=True, eq=False)
class RetrievalSet:
    """Images and captions that own each other; checked when made (see `validate`).

    Attributes:
        name: what results call it, for example "scenes".
        image_ids: one per image, no two the same.
        images: as many images, loaded on access.
        captions: the texts, none of them empty.
        caption_ids: one per caption, no two the same.
        caption_image: [num_captions] int32, the position of the image that owns the caption.
        source: where the data comes from (a path, an address, or how it was generated).
        licence: the terms under which it may be used.

    Raises:
        UserError: naming the ids that are wrong.
    """

    name: str
    image_ids: tuple[str, ...]
    images: Images
    captions: tuple[str, ...]
    caption_ids: tuple[str, ...]
    caption_image: np.ndarray
    source: str
    licence: str

    def __post_init__(self) -> None:
        validate(self)

    def captions_of(self, image: int) -> np.ndarray:
        """Positions of the captions that the image at position `image` owns: [r] int32, rising."""
        if not 0 <= image < len(self.image_ids):
            raise UserError(f"{self.name}: no image {image}; it has {len(self.image_ids)}")
        return np.flatnonzero(self.caption_image == image).astype(np.int32)

    def answers(self, direction: str) -> np.ndarray:
        """Right answers of every query: [num_queries, R] int32 gallery positions, -1 where none.

        image_to_text: the captions of each image in rising order (R: the most that one image
        owns); text_to_image: the owning image (R = 1).
        """
        if _checked(direction) == TEXT_TO_IMAGE:
            return self.caption_image[:, np.newaxis].copy()
        counts = np.bincount(self.caption_image, minlength=len(self.image_ids))
        by_image = np.argsort(self.caption_image, kind="stable")
        owner = self.caption_image[by_image]
        first = np.cumsum(counts) - counts
        table = np.full((len(counts), int(counts.max())), -1, np.int32)
        table[owner, np.arange(len(owner)) - first[owner]] = by_image
        return table

    def num_queries(self, direction: str) -> int:
        """Number of images (image_to_text) or of captions (text_to_image)."""
        return len(self.image_ids if _checked(direction) == IMAGE_TO_TEXT else self.captions)

    def gallery_size(self, direction: str) -> int:
        """Number of captions (image_to_text) or of images (text_to_image)."""
        return len(self.captions if _checked(direction) == IMAGE_TO_TEXT else self.image_ids)


def _checked(direction: str) -> str:
    if direction not in DIRECTIONS:
        raise unknown("direction", direction, DIRECTIONS)
    return direction


def validate(data: RetrievalSet) -> None:
    """Refuse a set on which a retrieval number would mean nothing.

    Raises:
        UserError: empty set, lengths that disagree, duplicate ids, a caption that is empty or no
            string, a caption without image, an image without caption; it names the ids.
    """
    name = data.name
    if not data.image_ids or not data.captions:
        raise UserError(
            f"{name}: the set is empty ({len(data.image_ids)} images, {len(data.captions)} "
            "captions); give at least one image with one caption"
        )
    _check_lengths(data)
    for what, ids in (("image", data.image_ids), ("caption", data.caption_ids)):
        twice = [identity for identity, count in Counter(ids).items() if count > 1]
        if twice:
            raise UserError(f"{name}: {what} ids given twice: {_some(twice)}; make each id unique")
    bad = [
        identity
        for identity, caption in zip(data.caption_ids, data.captions, strict=True)
        if not isinstance(caption, str) or not caption.strip()
    ]
    if bad:
        raise UserError(
            f"{name}: captions that are empty or not a string: {_some(bad)}; "
            "mend or leave out these captions"
        )
    outside = (data.caption_image < 0) | (data.caption_image >= len(data.image_ids))
    if outside.any():
        lost = [data.caption_ids[index] for index in np.flatnonzero(outside)]
        raise UserError(
            f"{name}: captions without an image: {_some(lost)}; caption_image must lie in "
            f"0..{len(data.image_ids) - 1}"
        )
    counts = np.bincount(data.caption_image, minlength=len(data.image_ids))
    if not counts.all():
        bare = [data.image_ids[index] for index in np.flatnonzero(counts == 0)]
        raise UserError(
            f"{name}: images without a caption: {_some(bare)}; add a caption or leave them out"
        )


def _check_lengths(data: RetrievalSet) -> None:
    pairs = (
        ("image_ids", len(data.image_ids), "images", len(data.images)),
        ("captions", len(data.captions), "caption_ids", len(data.caption_ids)),
    )
    for left, left_size, right, right_size in pairs:
        if left_size != right_size:
            raise UserError(
                f"{data.name}: {left} has {left_size} entries and {right} has {right_size}; "
                "they must be as many"
            )
    owner = data.caption_image
    if not isinstance(owner, np.ndarray) or owner.dtype != np.int32:
        given = owner.dtype if isinstance(owner, np.ndarray) else type(owner).__name__
        raise UserError(f"{data.name}: caption_image must be an int32 array, not {given}")
    if owner.shape != (len(data.captions),):
        raise UserError(
            f"{data.name}: caption_image has shape {owner.shape} for {len(data.captions)} "
            "captions; it needs one entry per caption"
        )


def _some(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(identity) for identity in ids[:_NAMED])
    return shown + (f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else "")
