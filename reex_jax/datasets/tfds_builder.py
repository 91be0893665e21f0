"""Our own builder for TensorFlow Datasets: any retrieval set, written once, read everywhere.

It writes array_record files, which need no TensorFlow to be written or read. One example is one
image with its captions:

    image       the bytes of the file as it was (generated images: PNG)
    image_id    text
    position    of the image in the set
    captions    of each: text, id, and position among all captions of the set
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from reex_jax.datasets.image_files import ImageFiles
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.errors import UserError
from reex_jax.files import home

VERSION = "1.0.0"
"""Of the format above, not of the data."""

with tfds.core.registered.skip_registration():

    class RetrievalBuilder(tfds.core.GeneratorBasedBuilder):
        """Writes one retrieval set as one split."""

        VERSION = tfds.core.Version(VERSION)
        # Nothing is downloaded, so there are no checksums beside this module; TFDS 4.9 would look
        # for them with the package importlib_resources, which it does not install.
        code_path = None

        def __init__(self, data: RetrievalSet, split: str, *, name: str, data_dir: str) -> None:
            """`name` is the data set's name for TFDS: small letters, digits and underscores."""
            self.name = name
            self._data = data
            self._split = split
            super().__init__(data_dir=data_dir, file_format="array_record")

        def _info(self) -> Any:
            captions = {
                "text": tfds.features.Text(),
                "id": tfds.features.Text(),
                "position": np.int64,
            }
            return tfds.core.DatasetInfo(
                builder=self,
                description=f"{self._data.name}, {self._data.source}",
                license=self._data.licence,
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(),
                        "image_id": tfds.features.Text(),
                        "position": np.int64,
                        "captions": tfds.features.Sequence(captions),
                    }
                ),
                metadata=tfds.core.MetadataDict(
                    name=self._data.name, source=self._data.source, licence=self._data.licence
                ),
                # Streams are shuffled by seed later: everyone must start from one order.
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            return {self._split: self._generate_examples()}

        def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
            data = self._data
            for position, image_id in enumerate(data.image_ids):
                captions = [
                    {"text": data.captions[i], "id": data.caption_ids[i], "position": i}
                    for i in data.captions_of(position).tolist()
                ]
                yield (
                    position,
                    {
                        "image": BytesIO(_file_bytes(data, position)),
                        "image_id": image_id,
                        "position": position,
                        "captions": captions,
                    },
                )


def _file_bytes(data: RetrievalSet, position: int) -> bytes:
    if isinstance(data.images, ImageFiles):
        return data.images.paths[position].read_bytes()
    content = BytesIO()
    data.images[position].save(content, "PNG")
    return content.getvalue()


def write_tfds(data: RetrievalSet, out: str | Path, *, name: str, split: str) -> Path:
    """Writes a set below `out`, complete or not at all, and returns its folder.

    Args:
        data: any set; its images are stored as they are, its order is kept.
        out: the folder of all TFDS data.
        name: small letters, digits and underscores, beginning with a letter.
        split: what the split is called.

    Raises:
        UserError: the name is no name for TFDS, or the folder exists.
    """
    if not name.isascii() or not name.isidentifier() or not name.islower():
        raise UserError(
            f"name is {name!r}; TensorFlow Datasets takes small letters, digits and underscores, "
            "beginning with a letter"
        )
    folder = home(out) / name / VERSION
    if folder.exists():
        raise UserError(f"{folder}: exists; remove it, or choose another out or name")
    builder = RetrievalBuilder(data, split, name=name, data_dir=str(out))
    builder.download_and_prepare()
    return folder
