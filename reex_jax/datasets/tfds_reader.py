"""Retrieval sets read from TensorFlow Datasets: our own builder's, and `coco_captions`."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.errors import UserError
from reex_jax.files import home
from reex_jax.models.images import decode_image
from reex_jax.settings.presets import CAPTIONS_PER_IMAGE, COCO, PRESETS

_PREPARE = "python -m reex_jax prepare-data"


@dataclass(frozen=True)
class EncodedImages:
    """Images as the bytes of their files; each access reads and decodes anew.

    Attributes:
        examples: by position, each with the bytes of an image under "image".
        ids: of the images, for messages.
    """

    examples: Sequence[Any]
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int, /) -> Image.Image:
        return decode_image(self.examples[index]["image"], self.ids[index])


def load_tfds(root: str | Path, *, split: str = "test", max_images: int = 0) -> RetrievalSet:
    """Reads a set that TensorFlow Datasets prepared.

    Sets of our own builder (see `tfds_builder`) and others in array_record format are read without
    TensorFlow, image by image. `coco_captions` in TFDS's usual format needs TensorFlow, and its
    encoded images are held in memory (about 0.16 MB each); their order is that of the file names.

    Args:
        root: the folder with dataset_info.json, or one above that holds a single such folder.
        split: as TFDS calls it.
        max_images: only the first so many images; 0 for all.

    Raises:
        UserError: no such folder, no or several data sets in it, no such split, a data set of
            another kind, damaged files, or TensorFlow is needed and not installed.
    """
    folder = _find(home(root))
    builder = tfds.builder_from_directory(str(folder))
    if split not in builder.info.splits:
        found = ", ".join(builder.info.splits)
        raise UserError(f"{folder}: no split {split!r}; it has {found}; set data.split")
    features = set(builder.info.features)
    if {"image", "image_id", "position", "captions"} <= features:
        return _own(builder, folder, split, max_images)
    if {"image", "image/filename", "captions"} <= features:
        return _coco_captions(builder, folder, split, max_images)
    raise UserError(
        f"{folder}: not a set of images with captions that is known here (it has "
        f"{', '.join(sorted(features))}); prepare one with {_PREPARE}"
    )


def _find(root: Path) -> Path:
    if not root.is_dir():
        raise UserError(
            f"{root}: no such folder; if the data was moved, set data.root to its new place; to "
            f"make it: {_PREPARE}"
        )
    found = sorted(path.parent for path in root.rglob("dataset_info.json"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(
            f"{root}: no data of TensorFlow Datasets; looked for dataset_info.json there and "
            f"below; to make it: {_PREPARE}"
        )
    names = ", ".join(str(path.relative_to(root)) for path in found)
    raise UserError(f"{root}: holds several data sets; set data.root to one of {names}")


def _examples(builder: Any, folder: Path, split: str) -> Sequence[Any]:
    """All examples of a split: by position where the format allows it, else in memory."""
    decoders = {"image": tfds.decode.SkipDecoding()}
    if builder.info.file_format is tfds.core.FileFormat.ARRAY_RECORD:
        return builder.as_data_source(split=split, decoders=decoders)
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError(
            f"{folder}: this format ({builder.info.file_format.value}) needs TensorFlow, which is "
            "not installed: pip install tensorflow-cpu; or read Karpathy's files with "
            "data.name=karpathy"
        )
    dataset = builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)
    return list(tfds.as_numpy(dataset))


def _own(builder: Any, folder: Path, split: str, max_images: int) -> RetrievalSet:
    examples = _examples(builder, folder, split)
    count = min(max_images or len(examples), len(examples))
    image_ids: list[str] = []
    captions: list[tuple[int, str, str, int]] = []
    try:
        for place in range(count):
            example = examples[place]
            if example["position"] != place:
                raise ValueError(f"record {place} is image {example['position']}")
            image_ids.append(example["image_id"].decode())
            of_image = example["captions"]
            captions += [
                (int(position), identity.decode(), text.decode(), place)
                for position, identity, text in zip(
                    of_image["position"], of_image["id"], of_image["text"], strict=True
                )
            ]
    except Exception as error:  # the reader answers damaged files with errors of many kinds
        raise UserError(f"{folder}: damaged ({error}); prepare it anew: {_PREPARE}") from error
    metadata = builder.info.metadata
    return _assembled(
        metadata["name"],
        image_ids,
        EncodedImages(examples, tuple(image_ids)),
        sorted(captions),
        f"{folder}, made from: {metadata['source']}",
        metadata["licence"],
    )


def _coco_captions(builder: Any, folder: Path, split: str, max_images: int) -> RetrievalSet:
    examples = _examples(builder, folder, split)
    by_name = {example["image/filename"].decode(): i for i, example in enumerate(examples)}
    image_ids = sorted(by_name)[: max_images or None]
    chosen = [examples[by_name[image_id]] for image_id in image_ids]
    captions = [
        (len(image_ids) * number + place, f"{image_id}#{number}", text.decode(), place)
        for place, image_id in enumerate(image_ids)
        for number, text in enumerate(chosen[place]["captions"]["text"][:CAPTIONS_PER_IMAGE])
    ]
    return _assembled(
        COCO,
        image_ids,
        EncodedImages(chosen, tuple(image_ids)),
        captions,
        f"{folder} ({builder.info.full_name})",
        PRESETS[COCO].licence,
    )


def _assembled(
    name: str,
    image_ids: Sequence[str],
    images: EncodedImages,
    captions: Sequence[tuple[int, str, str, int]],
    source: str,
    licence: str,
) -> RetrievalSet:
    """`captions`: of each its place in the order of all, its id, its text and its image."""
    return RetrievalSet(
        name=name,
        image_ids=tuple(image_ids),
        images=images,
        captions=tuple(text for _, _, text, _ in captions),
        caption_ids=tuple(identity for _, identity, _, _ in captions),
        caption_image=np.array([place for _, _, _, place in captions], np.int32),
        source=source,
        licence=licence,
    )
