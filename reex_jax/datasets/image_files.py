"""Images in files, read when they are asked for."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from reex_jax.datasets.skipped import Skipped
from reex_jax.errors import UserError
from reex_jax.files import FileFinder
from reex_jax.models.images import open_image
from reex_jax.progress import tracked

_PROGRESS_FROM = 1000
"""Number of images from which checking them takes long enough for a progress bar."""


@dataclass(frozen=True)
class ImageFiles:
    """Images by position; each access decodes the file anew.

    Attributes:
        paths: one file per image.
    """

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image.Image:
        return open_image(self.paths[index])


def check_images(paths: Mapping[str, Path], finder: FileFinder) -> list[Skipped]:
    """Decodes every image in full, so that none fails in the middle of a run.

    Threads share the work: Pillow lets go of Python's lock while it decodes.

    Args:
        paths: image id -> file.
        finder: names what lies beside a file that is missing.

    Returns:
        The images that cannot be used, in the order given.
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        checked = tracked(
            zip(paths, threads.map(_image_fault, paths.values()), strict=True),
            total=len(paths),
            unit="image",
            label="checking images",
            shown=len(paths) > _PROGRESS_FROM,
        )
        faults = [Skipped(image_id, fault) for image_id, fault in checked if fault is not None]
    near = {fault.id: finder.near(paths[fault.id]) for fault in faults}
    return [
        replace(one, reason=f"{one.reason}; the folder has {near[one.id]!r}")
        if near[one.id]
        else one
        for one in faults
    ]


def _image_fault(path: Path) -> str | None:
    try:
        open_image(path)
    except (UserError, OSError) as error:  # OSError: a path too long, a folder not readable
        return str(error)
    return None
