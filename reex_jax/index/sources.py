"""From what a user names to entries: a folder of pictures, shards, or a prepared set."""

from pathlib import Path
from typing import Any

import numpy as np

from reex_jax.errors import UserError
from reex_jax.files import home
from reex_jax.index.entries import Entry, Found, text_entries, usable_caption
from reex_jax.index.folder_entries import folder_entries
from reex_jax.index.shard_entries import shard_entries, shards_of
from reex_jax.settings.indexing import Indexing


def image_entries(images: str | Path, settings: Indexing, captions: str | Path = "") -> Found:
    """The pictures of whatever was named.

    Args:
        images: a folder of pictures; shards of WebDataset (a tar file, a folder of them, a pattern
            with *, or a range as in shard-{0000..0123}.tar); or the folder of a set that
            `prepare-data` or TensorFlow Datasets wrote.
        settings: say what is too large, and which split is read.
        captions: see `folder_entries`; only for a folder of pictures.

    Raises:
        UserError: nothing there, or captions for what has its own.
    """
    name, limit = str(home(images)), settings.max_megabytes * 1_000_000
    path = Path(name)
    info = _set_info(path)
    if path.is_dir() and info is None:
        shards = sorted(path.glob("*.tar"))
        if not shards:
            return folder_entries(path, captions=captions, prefix=settings.prefix, limit=limit)
    elif info is not None:
        _no_captions(captions, images)
        return _set_entries(path, str(info.stat().st_mtime_ns), settings)
    elif not path.is_file() and not set(name) & set("*?[{"):
        raise UserError(f"{images}: no such folder or shard; check the path of the pictures")
    else:
        shards = shards_of(name)
    _no_captions(captions, images)
    return shard_entries(shards, prefix=settings.prefix, limit=limit)


def entries_of(images: str, texts: str, captions: str, settings: Indexing) -> tuple[str, Found]:
    """The modality of what a command line names, and its entries.

    Raises:
        UserError: neither or both of `images` and `texts`.
    """
    if bool(images) == bool(texts):
        raise UserError("give either --images (a folder or shards) or --texts (a file)")
    if texts:
        _no_captions(captions, texts)
        return "text", text_entries(texts, settings.prefix)
    return "image", image_entries(images, settings, captions)


def _no_captions(captions: object, source: object) -> None:
    if captions:
        raise UserError(
            f"--captions is for a folder of pictures; {source} has its own; leave it out"
        )


def _set_info(path: Path) -> Path | None:
    """What a prepared set is known by: there, in <version>/ or in <name>/<version>/."""
    below = ("dataset_info.json", "*/dataset_info.json", "*/*/dataset_info.json")
    return next((found for pattern in below for found in path.glob(pattern)), None)


def _set_entries(path: Path, stamp: str, settings: Indexing) -> Found:
    # Imported here, because TensorFlow Datasets takes half a second, and may not be needed.
    from reex_jax.datasets.tfds_reader import EncodedImages, load_tfds

    data = load_tfds(path, split=settings.split)
    owners, first = np.unique(data.caption_image, return_index=True)
    captions = dict(zip(owners.tolist(), first.tolist(), strict=True))
    images: Any = data.images
    assert isinstance(images, EncodedImages)
    for position, name in enumerate(data.image_ids):
        caption = data.captions[captions[position]]

        def read(position: int = position, caption: str = caption) -> tuple[bytes, str]:
            return images.examples[position]["image"], usable_caption(caption)

        yield Entry(settings.prefix + name, stamp, f"{path.absolute()}#{name}", read)
