"""Which data a run searches, and how they are read: `data.*`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self

from reex_jax.errors import UserError
from reex_jax.settings.checks import integer, one_of, path
from reex_jax.settings.choices import MODES, ON_ERROR, SCENES_SPLITS
from reex_jax.settings.fields import Settings, setting
from reex_jax.settings.presets import PRESETS
from reex_jax.settings.presets import SPLITS as KARPATHY_SPLITS

FOLDER, KARPATHY, SCENES, TFDS = "folder", "karpathy", "scenes", "tfds"
DATA_SETS = (SCENES, FOLDER, KARPATHY, TFDS)

MAX_SCENES = 1_000_000
"""Generated scenes of a run; more than that is a slip of the pen, and would fill the memory."""

_READ_BY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "root": (FOLDER, KARPATHY, TFDS),
        "preset": (KARPATHY, TFDS),
        "captions_file": (FOLDER, KARPATHY),
        "images": (KARPATHY,),
        "max_images": (FOLDER, KARPATHY, TFDS),
        "released_images": (KARPATHY, TFDS),
        "released_captions": (KARPATHY, TFDS),
    }
)
"""Settings that some data sets do not read; there they must stay empty."""


@dataclass(frozen=True)
class Data(Settings):
    """A data set; docs/datasets.md says what each needs."""

    name: str = setting(SCENES, "the kind of data set", one_of(DATA_SETS))
    root: str = setting("", "folder of the data; not for scenes", path)
    preset: str = setting("", "published set whose layout the folder has", one_of(("", *PRESETS)))
    captions_file: str = setting("", "captions, if not where the preset has them", path)
    images: str = setting("", "folder of images, if not where the preset has them", path)
    split: str = setting(
        "test", "which part", one_of(dict.fromkeys((*SCENES_SPLITS, *KARPATHY_SPLITS)))
    )
    seed: int = setting(0, "of generated scenes", integer(0))
    num_images: int = setting(1000, "how many scenes", integer(1, MAX_SCENES))
    max_images: int = setting(0, "at most so many images of files; 0 for all", integer(0))
    released_images: str = setting("", "folder of published corrupted images", path)
    released_captions: str = setting("", "folder of published corrupted captions", path)
    preprocessing: str = setting("clip", "of queries and gallery, as CLIP or TCR do", one_of(MODES))
    on_error: str = setting("raise", "what faulty files do", one_of(ON_ERROR))
    workers: int = setting(2, "threads that make queries", integer(0, 256), counted=False)
    memory: int = setting(
        1024,
        "megabytes of prepared images kept in memory for the methods that follow; 0: none",
        integer(0),
        counted=False,
    )
    cache: str = setting("", "folder that keeps corrupted images", path, counted=False)

    def check_together(self) -> None:
        """Refuses settings that the data set does not read, or lacks."""
        for key, readers in _READ_BY.items():
            if getattr(self, key) and self.name not in readers:
                raise UserError(
                    f"data.{key} is {getattr(self, key)!r}, but data.name is {self.name!r}, which "
                    f"does not read it; set data.name to {' or '.join(map(repr, readers))}"
                )
        splits = {SCENES: tuple(SCENES_SPLITS), KARPATHY: KARPATHY_SPLITS}.get(self.name)
        if splits and self.split not in splits:
            raise UserError(
                f"data.split is {self.split!r}, but data set {self.name!r} has {', '.join(splits)}"
            )
        self._check_released()

    def check_complete(self) -> None:
        """Refuses a data set of which nobody said where it lies.

        Apart from `check_together`, because an experiment may leave the folder to the command line.

        Raises:
            UserError: naming the key that is missing.
        """
        if self.name in _READ_BY["root"] and not self.root:
            raise UserError(f"data.name is {self.name!r}, so data.root must name the folder")
        if self.name == KARPATHY and not self.preset and not self.captions_file:
            raise UserError(
                "data.name is 'karpathy', so data.preset must be one of "
                f"{', '.join(PRESETS)}, or data.captions_file name the JSON file"
            )

    def _check_released(self) -> None:
        for key in ("released_images", "released_captions"):
            folder = getattr(self, key)
            if folder and not self.preset:
                raise UserError(
                    f"data.{key} is {folder!r}, so data.preset must say how its folders are named: "
                    f"{', '.join(PRESETS)}"
                )
            if folder and self.split != "test":
                raise UserError(
                    f"data.{key} is {folder!r}, but data.split is {self.split!r}; corruptions were "
                    "released for the split 'test' only"
                )

    def shrunk(self, images: int = 50) -> Self:
        """A copy with at most so many images, of whatever data set."""
        files = self.max_images
        if self.name in _READ_BY["max_images"]:
            files = min(images, self.max_images or images)
        return replace(self, num_images=min(images, self.num_images), max_images=files)
