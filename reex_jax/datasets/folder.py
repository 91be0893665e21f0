"""A user's own data: a folder of images and a file of captions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reex_jax.datasets.captions_file import CAPTIONS_FILES, CaptionRow, read_captions
from reex_jax.datasets.image_files import ImageFiles, check_images
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.datasets.skipped import Skipped, check_on_error, log_skipped, refuse_faults
from reex_jax.errors import UserError
from reex_jax.files import FileFinder, home


@dataclass(frozen=True)
class LoadedFolder:
    """A data set from a folder, and what had to be left out.

    Attributes:
        data: the usable images and captions.
        skipped: the others, each with its reason; empty with on_error "raise".
    """

    data: RetrievalSet
    skipped: tuple[Skipped, ...]


def load_folder(
    root: str | Path,
    captions_file: str | Path | None = None,
    on_error: str = "raise",
    *,
    max_images: int = 0,
    decode: bool = True,
) -> LoadedFolder:
    """Reads a folder of images with captions; every image is decoded once to check it.

    An image's id is its path in the folder, a caption's id is that with `#0`, `#1` and so on, so
    ids stay when other items are mended or left out. An image without usable captions is left
    out with them. Files that no caption names are ignored.

    Args:
        root: the folder; the images may lie in folders below it.
        captions_file: see `captions_file.read_captions` for the formats; relative to `root`.
            By default the one of captions.jsonl, captions.json, captions.csv that exists.
        on_error: "raise" refuses the folder for any faulty row or image; "skip" leaves these out
            and logs a warning (in a config: `data.on_error`).
        max_images: only the first so many images that the captions name; 0 for all.
        decode: False leaves the images unchecked, for work on captions alone.

    Raises:
        UserError: no such folder or captions file, a faulty item, or nothing is left.
    """
    check_on_error(on_error)
    root = home(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; check the path of the data")
    file = root / home(captions_file) if captions_file else _find_captions(root)
    rows, skipped = read_captions(file)
    refuse_faults(str(file), skipped, on_error)
    finder = FileFinder()
    paths = {row.image: finder.find(root / row.image) for row in rows}
    if max_images:
        paths = dict(list(paths.items())[:max_images])
        rows = [row for row in rows if row.image in paths]
    broken = check_images(paths, finder) if decode else []
    refuse_faults(str(root), broken, on_error)
    skipped += broken
    rejected = {fault.id for fault in broken}
    rows = [row for row in rows if row.image not in rejected]
    log_skipped(str(root), skipped)
    if not rows:
        hint = f"; {skipped[0].id}: {skipped[0].reason}" if skipped else ""
        raise UserError(
            f"{file}: no usable image with a caption ({len(skipped)} faulty items{hint})"
        )
    return LoadedFolder(_assembled(root, rows, paths), tuple(skipped))


def _find_captions(root: Path) -> Path:
    found = [root / name for name in CAPTIONS_FILES if (root / name).is_file()]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(
            f"{root}: no captions found; looked for {', '.join(CAPTIONS_FILES)}; "
            "write one of them, or name another file with captions_file"
        )
    names = ", ".join(path.name for path in found)
    raise UserError(f"{root}: has {names}; say with captions_file which one counts")


def _assembled(root: Path, rows: list[CaptionRow], paths: Mapping[str, Path]) -> RetrievalSet:
    """The data set; images in order of their first caption, captions in order of the file."""
    position = {image: place for place, image in enumerate(dict.fromkeys(r.image for r in rows))}
    return RetrievalSet(
        name=root.resolve().name,
        image_ids=tuple(position),
        images=ImageFiles(tuple(paths[image] for image in position)),
        captions=tuple(row.caption for row in rows),
        caption_ids=tuple(f"{row.image}#{row.number}" for row in rows),
        caption_image=np.array([position[row.image] for row in rows], np.int32),
        source=f"folder {root}",
        licence="the user's own data",
    )
