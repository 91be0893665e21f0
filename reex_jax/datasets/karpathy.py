"""COCO, Flickr30K, and whatever else comes as images with a JSON file in Karpathy's shape."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from reex_jax.datasets.image_files import ImageFiles, check_images
from reex_jax.datasets.karpathy_file import KarpathyImage, read_karpathy
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.datasets.skipped import Skipped, check_on_error, log_skipped, refuse_faults
from reex_jax.errors import UserError, unknown
from reex_jax.files import FileFinder, home
from reex_jax.settings.presets import PRESETS, Preset

_log = logging.getLogger(__name__)


def load_karpathy(
    root: str | Path,
    *,
    preset: str = "",
    split: str = "test",
    captions_file: str | Path = "",
    images: str | Path = "",
    max_images: int = 0,
    on_error: str = "raise",
    decode: bool = True,
) -> RetrievalSet:
    """Reads a split; every image is decoded once to check it.

    An image's id is its file name without folders (with them, where two images have one name), a
    caption's id that with `#0` to `#4`. So all JSON shapes give the same ids, and with them the
    same corruptions.

    Args:
        root: the folder of the data.
        preset: a name in PRESETS, which tells where files usually lie, or "" for other data; then
            `captions_file` is needed.
        split: of Karpathy's; see `read_karpathy`.
        captions_file: relative to `root`; by default the first of the preset's that exists.
        images: the folder of the images, relative to `root`; by default the first of the preset's
            that holds one of them.
        max_images: only the first so many images of the split; 0 for all.
        on_error: "raise" refuses the data for any faulty entry or image; "skip" leaves these out
            and logs a warning.
        decode: False leaves the images unchecked, for work on captions alone.

    Raises:
        UserError: a folder or file is missing (the message says where it looked and where to get
            the data), an entry or image is faulty, the split is empty, or nothing is left.
    """
    check_on_error(on_error)
    if preset and preset not in PRESETS:
        raise unknown("data.preset", preset, PRESETS)
    known = PRESETS.get(preset)
    root = home(root)
    if not root.is_dir():
        raise _missing(f"{root}: no such folder", "data.root", known)
    file = _find_captions(root, captions_file, split, known)
    entries, skipped = read_karpathy(file, split)
    refuse_faults(str(file), skipped, on_error)
    _compare_size(file, entries, split, known)
    entries = entries[:max_images] if max_images else entries
    if not entries:
        _refuse_empty(file, skipped)
    finder = FileFinder()
    paths = _find_images(root, images, entries, known, finder)
    named = {entry.name: path for entry, path in zip(entries, paths, strict=True)}
    broken = check_images(named, finder) if decode else []
    if broken:
        _refuse_images(root, broken, on_error, known)
    skipped += broken
    log_skipped(str(root), skipped)
    rejected = {fault.id for fault in broken}
    kept = [(e, path) for e, path in zip(entries, paths, strict=True) if e.name not in rejected]
    if not kept:
        _refuse_empty(file, skipped)
    return _assembled(preset or root.resolve().name, kept, file, known)


def _refuse_empty(file: Path, skipped: Sequence[Skipped]) -> NoReturn:
    hint = f"; {skipped[0].id}: {skipped[0].reason}" if skipped else ""
    raise UserError(f"{file}: no usable image with a caption ({len(skipped)} faulty items{hint})")


def _missing(what: str, key: str, preset: Preset | None) -> UserError:
    page = f"; {preset.title} is to be had here: {preset.page}" if preset else ""
    return UserError(f"{what}; if the data was moved, set {key} to its new place{page}")


def _find_captions(root: Path, given: str | Path, split: str, preset: Preset | None) -> Path:
    if given:
        given = home(given)
        if not (root / given).is_file():
            raise _missing(f"{root / given}: no such captions file", "data.captions_file", preset)
        return root / given
    if preset is None:
        raise UserError(
            "data.captions_file is empty; name the JSON file of the captions, or set data.preset "
            f"to one of {', '.join(PRESETS)}"
        )
    names = [name.format(split=split) for name in preset.captions_files]
    for name in names:
        if (root / name).is_file():
            return root / name
    raise _missing(
        f"{root}: no captions of {preset.title}, split {split!r}; looked for {', '.join(names)}",
        "data.root or data.captions_file",
        preset,
    )


def _compare_size(
    file: Path, entries: Sequence[KarpathyImage], split: str, preset: Preset | None
) -> None:
    if preset and split == "test" and len(entries) != preset.test_images:
        _log.warning(
            "%s: %d images, but the test split of %s has %d; do not compare with published numbers",
            file,
            len(entries),
            preset.title,
            preset.test_images,
        )


def _find_images(
    root: Path,
    given: str | Path,
    entries: Sequence[KarpathyImage],
    preset: Preset | None,
    finder: FileFinder,
) -> list[Path]:
    """A path for each image, in the first folder that holds any of them; it may not exist."""
    usual = preset.image_folders if preset else ("", "images")
    folders = [root / home(given)] if given else [root / folder for folder in usual]
    layouts = [[folder / e.path for e in entries] for folder in folders]
    layouts += [[folder / e.name for e in entries] for folder in folders]
    for paths in layouts:
        found = [finder.find(path) for path in paths]
        if any(path.is_file() for path in found):
            return found
    looked = ", ".join(str(path) for path in dict.fromkeys(paths[0] for paths in layouts))
    raise _missing(
        f"{root}: no image of the {len(entries)} was found; looked for {looked}",
        "data.root or data.images",
        preset,
    )


def _refuse_images(
    root: Path, broken: Sequence[Skipped], on_error: str, preset: Preset | None
) -> None:
    try:
        refuse_faults(str(root), broken, on_error)
    except UserError as error:
        page = f"\n{preset.title} is to be had here: {preset.page}" if preset else ""
        raise UserError(f"{error}{page}") from error


def _assembled(
    name: str, kept: Sequence[tuple[KarpathyImage, Path]], file: Path, preset: Preset | None
) -> RetrievalSet:
    captions = [
        (f"{entry.name}#{number}", text, position)
        for position, (entry, _) in enumerate(kept)
        for number, text in entry.captions.items()
    ]
    return RetrievalSet(
        name=name,
        image_ids=tuple(entry.name for entry, _ in kept),
        images=ImageFiles(tuple(path for _, path in kept)),
        captions=tuple(text for _, text, _ in captions),
        caption_ids=tuple(identity for identity, _, _ in captions),
        caption_image=np.array([position for _, _, position in captions], np.int32),
        source=f"captions {file}, images {kept[0][1].parent}",
        licence=preset.licence if preset else "that of the user's data",
    )
