"""Captions in the JSON shapes in which COCO, Flickr30K and Karpathy's splits of them go round.

Karpathy's original (dataset_coco.json) holds all splits:

    {"images": [{"filepath": "val2014", "filename": "a.jpg", "split": "test",
                 "sentences": [{"raw": "a dog on a beach"}, ...]}, ...]}

The list that BLIP and its followers use (coco_karpathy_test.json) holds one split a file; of the
training split each caption has a row of its own, with one text instead of a list:

    [{"image": "val2014/a.jpg", "caption": ["a dog on a beach", ...]}, ...]

COCO's own (captions_val2014.json) is one split too:

    {"images": [{"id": 42, "file_name": "a.jpg"}, ...],
     "annotations": [{"image_id": 42, "caption": "a dog on a beach"}, ...]}
"""

import json
import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reex_jax.datasets.captions_file import brief, caption_fault, path_inside
from reex_jax.datasets.skipped import Skipped
from reex_jax.errors import UserError
from reex_jax.files import refuse_pointer
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
        name: its id: the file name without folders, which is the same in all shapes; the whole
            path where the file has two images of one name.
    """

    path: str
    captions: Mapping[int, str]
    name: str


@dataclass
class _Entry:
    """One image of the file, or what is wrong with it.

    Attributes:
        place: in the file.
        path: of the image; the fault where there is none.
        captions: each with its place in the file, not yet checked.
        row: whether the entry is a row with one caption, to which rows of the image may be added.
    """

    place: str
    path: str | UserError
    captions: list[tuple[str, object]] = field(default_factory=list)
    row: bool = False


def read_karpathy(path: Path, split: str) -> tuple[list[KarpathyImage], list[Skipped]]:
    """Reads the images of a split, in the order of the file, each with its first five captions.

    Args:
        path: a JSON file in any of the shapes, UTF-8.
        split: which images count in Karpathy's original; a file of another shape is one split,
            and counts whole.

    Returns:
        the images that have a usable caption, and what is faulty with its place in the file.

    Raises:
        UserError: the file cannot be read, has none of the shapes, or no image of the split.
    """
    faults: list[Skipped] = []
    found: dict[str, _Entry] = {}
    for entry in _entries(path, split):
        if isinstance(entry.path, UserError):
            faults.append(Skipped(entry.place, str(entry.path)))
        elif entry.path not in found:
            found[entry.path] = entry
        elif entry.row and found[entry.path].row:
            found[entry.path].captions += entry.captions
        else:
            name, first = posixpath.basename(entry.path), found[entry.path].place
            reason = f"{name} is also the image of {first}; keep one"
            faults.append(Skipped(entry.place, reason))
    names = Counter(map(posixpath.basename, found))
    images = []
    for image, entry in found.items():
        name = posixpath.basename(image)
        usable = _usable(entry.captions, faults)
        if usable:
            images.append(KarpathyImage(image, usable, name if names[name] == 1 else image))
    return images, faults


def _usable(captions: list[tuple[str, object]], faults: list[Skipped]) -> dict[int, str]:
    """The usable ones of the first five captions; the others are added to `faults`."""
    usable: dict[int, str] = {}
    for number, (place, caption) in enumerate(captions[:CAPTIONS_PER_IMAGE]):
        # nlpaug, with which the released captions were made, returns a list of one text.
        if isinstance(caption, list) and len(caption) == 1:
            (caption,) = caption
        fault = caption_fault(caption)
        if fault is None:
            usable[number] = str(caption)
        else:
            faults.append(Skipped(place, fault))
    return usable


def _entries(path: Path, split: str) -> Iterator[_Entry]:
    content = _read(path)
    if isinstance(content, list):
        if not content:
            raise UserError(f"{path}: the list is empty; {_SHAPES}")
        for number, record in enumerate(content, 1):
            yield _checked(f"{path.name} entry {number}", record, _list_entry)
        return
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise UserError(f"{path}: {_SHAPES}, found {brief(content)}")
    images = content["images"]
    if any(isinstance(one, dict) and "file_name" in one for one in images[:1]):
        yield from _official(path, images, content.get("annotations"))
        return
    splits: Counter[str] = Counter()
    for number, record in enumerate(images, 1):
        place = f"{path.name} image {number}"
        of_split = record.get("split") if isinstance(record, dict) else None
        if not isinstance(of_split, str):
            yield _Entry(place, UserError(f"no 'split'; {_SHAPES}"))
            continue
        splits[of_split] += 1
        if of_split == split:
            yield _checked(place, record, _original_entry)
    if not splits[split]:
        found = ", ".join(f"{name} ({count})" for name, count in sorted(splits.items()))
        raise UserError(
            f"{path}: no image of split {split!r}; its splits: {found or 'none'}; set data.split"
        )


def _checked(
    place: str, record: Any, read: Callable[[str, dict], _Entry], shape: str = _SHAPES
) -> _Entry:
    """The entry that `read` makes of a record, or the fault that it raises."""
    try:
        if not isinstance(record, dict):
            raise UserError(f"{shape}, found {brief(record)}")
        return read(place, record)
    except UserError as error:
        return _Entry(place, error)


def _list_entry(place: str, record: dict) -> _Entry:
    if not record.get("image"):
        raise UserError("a caption without an image: no 'image'")
    captions = record.get("caption")
    one = not isinstance(captions, list)
    captions = [captions] if one else captions
    if not captions or captions == [None]:
        raise UserError(f"image {brief(record['image'], repr)} has no 'caption'")
    return _Entry(place, path_inside(record["image"]), _numbered(place, captions), row=one)


def _original_entry(place: str, record: dict) -> _Entry:
    if not record.get("filename"):
        raise UserError("a caption without an image: no 'filename'")
    sentences = record.get("sentences")
    if not isinstance(sentences, list) or not sentences:
        raise UserError(f"image {brief(record['filename'], repr)} has no 'sentences'")
    texts = [s.get("raw") if isinstance(s, dict) else None for s in sentences]
    folder = record.get("filepath") or ""
    path = path_inside(posixpath.join(str(folder), str(record["filename"])))
    return _Entry(place, path, _numbered(place, texts))


def _numbered(place: str, captions: list) -> list[tuple[str, object]]:
    return [(f"{place}, caption {number}", one) for number, one in enumerate(captions, 1)]


_OFFICIAL = '{"image_id": 42, "caption": "a dog on a beach"}'


def _official(path: Path, images: list, annotations: Any) -> Iterator[_Entry]:
    """COCO's own layout, in which captions name their image by its number."""
    if not isinstance(annotations, list):
        raise UserError(
            f"{path}: in COCO's layout, but without captions ('annotations'); take "
            "captions_val2014.json of its annotations, or Karpathy's dataset_coco.json"
        )
    if not any(isinstance(one, dict) and "caption" in one for one in annotations):
        raise UserError(
            f"{path}: in COCO's layout, but its annotations have no 'caption'; take the file "
            "captions_*.json beside it, not instances_*.json"
        )
    of_image: dict[object, list[tuple[str, object]]] = {}
    for number, record in enumerate(annotations, 1):
        place = f"{path.name} annotation {number}"
        if not isinstance(record, dict) or not isinstance(record.get("image_id"), int | str):
            yield _Entry(place, UserError(f"no 'image_id'; expected {_OFFICIAL}"))
        else:
            of_image.setdefault(record["image_id"], []).append((place, record.get("caption")))

    def read(place: str, record: dict) -> _Entry:
        identity = record.get("id")
        captions = of_image.pop(identity, []) if isinstance(identity, int | str) else []
        if not captions:
            raise UserError(
                f"image {brief(record.get('file_name'), repr)} has no caption of its 'id'"
            )
        return _Entry(place, path_inside(record.get("file_name")), captions)

    for number, record in enumerate(images, 1):
        shape = 'expected {"id": 42, "file_name": "a.jpg"}'
        yield _checked(f"{path.name} image {number}", record, read, shape)
    for captions in of_image.values():
        yield _Entry(captions[0][0], UserError("no image has its 'image_id'"))


def _read(path: Path) -> Any:
    refuse_pointer(path)
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
