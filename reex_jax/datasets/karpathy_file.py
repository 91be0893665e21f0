"""Captions in the two JSON shapes in which Karpathy's splits of COCO and Flickr30K go round.

The original (dataset_coco.json) holds all splits:

    {"images": [{"filepath": "val2014", "filename": "a.jpg", "split": "test",
                 "sentences": [{"raw": "a dog on a beach"}, ...]}, ...]}

The list that BLIP and its followers use (coco_karpathy_test.json) holds one split a file:

    [{"image": "val2014/a.jpg", "caption": ["a dog on a beach", ...]}, ...]
"""

import json
import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reex_jax.datasets.captions_file import caption_fault, path_inside
from reex_jax.datasets.skipped import Skipped
from reex_jax.errors import UserError
from reex_jax.settings.presets import CAPTIONS_PER_IMAGE

_SHAPES = (
    'expected {"images": [{"filename": ..., "split": ..., "sentences": [{"raw": ...}]}]} or '
    '[{"image": ..., "caption": [...]}]'
)


@dataclass(frozen=True)
class KarpathyImage:
    """One image with its captions, as the file gives them.

    Attributes:
        path: of the image, normalised, with slashes; folders as in the file.
        captions: which of its captions (from 0; faulty ones count) -> the text.
    """

    path: str
    captions: Mapping[int, str]

    @property
    def name(self) -> str:
        """The file name without folders: the image's id, which is the same in both shapes."""
        return posixpath.basename(self.path)


def read_karpathy(path: Path, split: str) -> tuple[list[KarpathyImage], list[Skipped]]:
    """Reads the images of a split, in the order of the file, each with its first five captions.

    Args:
        path: a JSON file in either shape, UTF-8.
        split: which images count in the original shape; a file of the list shape is one split,
            and counts whole.

    Returns:
        the images that have a usable caption, and what is faulty with its place in the file.

    Raises:
        UserError: the file cannot be read, has neither shape, or no image of the split.
    """
    images: list[KarpathyImage] = []
    faults: list[Skipped] = []
    first_place: dict[str, str] = {}
    for place, path_or_fault, captions in _entries(path, split):
        if isinstance(path_or_fault, UserError):
            faults.append(Skipped(place, str(path_or_fault)))
            continue
        usable = _usable(place, captions, faults)
        image = KarpathyImage(path_or_fault, usable)
        if image.name in first_place:
            reason = f"{image.name} is also the image of {first_place[image.name]}; keep one"
            faults.append(Skipped(place, reason))
            continue
        first_place[image.name] = place
        if usable:
            images.append(image)
    return images, faults


def _usable(place: str, captions: list[object], faults: list[Skipped]) -> dict[int, str]:
    """The usable ones of the first five captions; the others are added to `faults`."""
    usable: dict[int, str] = {}
    for number, caption in enumerate(captions[:CAPTIONS_PER_IMAGE]):
        # nlpaug, with which the released captions were made, returns a list of one text.
        if isinstance(caption, list) and len(caption) == 1:
            (caption,) = caption
        fault = caption_fault(caption)
        if fault is None:
            usable[number] = str(caption)
        else:
            faults.append(Skipped(f"{place}, caption {number + 1}", fault))
    return usable


Entry = tuple[str, str | UserError, list[object]]
"""Place in the file; the image's path, or what is wrong with the entry; its captions."""


def _entries(path: Path, split: str) -> Iterator[Entry]:
    content = _read(path)
    if isinstance(content, list):
        if not content:
            raise UserError(f"{path}: the list is empty; {_SHAPES}")
        for number, record in enumerate(content, 1):
            yield _checked(f"{path.name} entry {number}", record, _list_entry)
        return
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise UserError(f"{path}: {_SHAPES}, found {json.dumps(content):.60}")
    splits: Counter[str] = Counter()
    for number, record in enumerate(content["images"], 1):
        place = f"{path.name} image {number}"
        of_split = record.get("split") if isinstance(record, dict) else None
        if not isinstance(of_split, str):
            yield place, UserError(f"no 'split'; {_SHAPES}"), []
            continue
        splits[of_split] += 1
        if of_split == split:
            yield _checked(place, record, _original_entry)
    if not splits[split]:
        found = ", ".join(f"{name} ({count})" for name, count in sorted(splits.items()))
        raise UserError(
            f"{path}: no image of split {split!r}; its splits: {found or 'none'}; set data.split"
        )


def _checked(place: str, record: Any, read: Any) -> Entry:
    """The entry that `read` makes of a record, or the fault that it raises."""
    try:
        if not isinstance(record, dict):
            raise UserError(f"{_SHAPES}, found {json.dumps(record):.60}")
        return place, *read(record)
    except UserError as error:
        return place, error, []


def _list_entry(record: dict) -> tuple[str, list[object]]:
    if not record.get("image"):
        raise UserError("a caption without an image: no 'image'")
    captions = record.get("caption")
    captions = captions if isinstance(captions, list) else [captions]
    if not captions or captions == [None]:
        raise UserError(f"image {record['image']!r:.60} has no 'caption'")
    return path_inside(record["image"]), captions


def _original_entry(record: dict) -> tuple[str, list[object]]:
    if not record.get("filename"):
        raise UserError("a caption without an image: no 'filename'")
    sentences = record.get("sentences")
    if not isinstance(sentences, list) or not sentences:
        raise UserError(f"image {record['filename']!r:.60} has no 'sentences'")
    texts = [s.get("raw") if isinstance(s, dict) else None for s in sentences]
    folder = record.get("filepath") or ""
    return path_inside(posixpath.join(str(folder), str(record["filename"]))), texts


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_hook=_without_tokens)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); fetch the file anew") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); fetch the file anew") from error


def _without_tokens(record: dict[str, Any]) -> dict[str, Any]:
    """The original gives each sentence word by word too, which would double the memory needed."""
    record.pop("tokens", None)
    return record
