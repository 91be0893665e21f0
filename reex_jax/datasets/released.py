"""COCO-C and Flickr-C as they were published: folders of corrupted images, files of captions.

Images lie in COCO_IP_fog_5/ or Flickr30K_IP_fog_5/, captions in
annotation_OcrAug/7/coco_karpathy_test.json. Names and severities are those that MM_Robustness
(Qiu et al. 2022) writes and that TCR (Li et al., ICLR 2025) published. Only queries are taken from
there; the clean gallery, the ids and who owns whom come from the data set.
"""

import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from PIL import Image

from reex_jax.datasets.karpathy_file import read_karpathy
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.errors import UserError, unknown
from reex_jax.files import home
from reex_jax.models.images import open_image
from reex_jax.settings.choices import IMAGE_TO_TEXT
from reex_jax.settings.presets import CAPTION_FOLDERS, PRESETS, RELEASED_PAGE, Preset

OTHER_FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "formal": "annotation_FormalAug",
        "casual": "annotation_CasualAug",
        "passive": "annotation_PassiveAug",
        "active": "annotation_ActiveAug",
        "back_translation": "annotation_BackTransAug",
    }
)
"""How the folders of sentence kinds are called where all folders follow the style of OcrAug."""

Kind = tuple[str, int]
"""A corruption and its severity."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class ReleasedCorruptions:
    """Published corrupted queries; made by `open_released`, which checks them first.

    Attributes:
        images: corruption and severity -> image id -> file.
        captions: corruption and severity -> caption id -> corrupted text.
    """

    images: Mapping[Kind, Mapping[str, Path]] = field(repr=False)
    captions: Mapping[Kind, Mapping[str, str]] = field(repr=False)

    def image(self, corruption: str, severity: int, image_id: str) -> Image.Image:
        """The corrupted image, decoded anew at each call.

        Raises:
            UserError: this kind or image was not opened, or the file is damaged.
        """
        return open_image(_entry(self.images, corruption, severity, image_id))

    def caption(self, corruption: str, severity: int, caption_id: str) -> str:
        """The corrupted caption.

        Raises:
            UserError: this kind or caption was not opened.
        """
        return _entry(self.captions, corruption, severity, caption_id)


def _entry(
    kinds: Mapping[Kind, Mapping[str, Value]], corruption: str, severity: int, key: str
) -> Value:
    if (corruption, severity) not in kinds:
        raise UserError(f"{corruption} {severity} was not opened; name it when opening the files")
    if key not in kinds[corruption, severity]:
        raise UserError(f"{corruption} {severity} has no {key!r}; ids are those of the data set")
    return kinds[corruption, severity][key]


def open_released(
    data: RetrievalSet,
    wanted: Iterable[tuple[str, str, int]],
    *,
    preset: str,
    images_root: str | Path = "",
    captions_root: str | Path = "",
) -> ReleasedCorruptions:
    """Finds the published files of every wanted kind, and checks that none lacks an item.

    Images are looked for by their ids, captions by image id and number; images are not decoded
    before they are asked for.

    Args:
        data: the clean set; its ids must be those of the loader `karpathy` or `tfds`.
        wanted: (direction, corruption, severity); severity 0 is skipped.
        preset: a name in PRESETS: how folders and files are called.
        images_root: the folder that holds COCO_IP_fog_5/ and so on; "": no image corruptions.
        captions_root: the folder that holds annotation_OcrAug/ and so on; "": no text corruptions.

    Raises:
        UserError: a folder, file, image or caption is missing; the message says what was looked
            for, and where to get it.
    """
    if preset not in PRESETS:
        raise unknown("data.preset", preset, PRESETS)
    known = PRESETS[preset]
    images: dict[Kind, Mapping[str, Path]] = {}
    captions: dict[Kind, Mapping[str, str]] = {}
    for direction, corruption, severity in dict.fromkeys(wanted):
        if severity == 0:
            continue
        kind = (corruption, severity)
        if direction == IMAGE_TO_TEXT and images_root:
            images[kind] = _find_images(data, home(images_root), kind, known)
        elif direction != IMAGE_TO_TEXT and captions_root:
            captions[kind] = _read_captions(data, home(captions_root), kind, known)
    return ReleasedCorruptions(images, captions)


def _find_images(data: RetrievalSet, root: Path, kind: Kind, preset: Preset) -> Mapping[str, Path]:
    folder = root / preset.released_images.format(corruption=kind[0], severity=kind[1])
    if not folder.is_dir():
        raise _missing(folder, "data.released_images")
    files = {path.name: path for path in sorted(folder.rglob("*")) if path.is_file()}
    # MM_Robustness writes JPEG whatever it read.
    names = {i: i if i in files else f"{posixpath.splitext(i)[0]}.jpg" for i in data.image_ids}
    lost = [identity for identity, name in names.items() if name not in files]
    if lost:
        raise UserError(
            f"{folder}: {len(lost)} of {len(names)} images are missing, the first is {lost[0]!r}; "
            f"fetch the folder anew from {RELEASED_PAGE}"
        )
    shared = [name for name, count in Counter(names.values()).items() if count > 1]
    if shared:
        raise UserError(f"{folder}: {shared[0]} would be the image of two ids; rename one of them")
    return {identity: files[name] for identity, name in names.items()}


def _read_captions(data: RetrievalSet, root: Path, kind: Kind, preset: Preset) -> Mapping[str, str]:
    corruption, _ = kind
    if corruption not in CAPTION_FOLDERS:
        raise UserError(
            f"{corruption} was not released; corruptions.text with data.released_captions: "
            f"{', '.join(CAPTION_FOLDERS)}"
        )
    file = _captions_file(root, kind, preset)
    if not file.is_file():
        raise _missing(file, "data.released_captions", _severities(file))
    entries, faults = read_karpathy(file, "test")
    texts = {f"{e.name}#{number}": t for e in entries for number, t in e.captions.items()}
    lost = [identity for identity in data.caption_ids if identity not in texts]
    if lost:
        hint = f" ({faults[0].id}: {faults[0].reason})" if faults else ""
        raise UserError(
            f"{file}: {len(lost)} of {len(data.caption_ids)} captions are missing, the first is "
            f"{lost[0]!r}{hint}; fetch the file anew from {RELEASED_PAGE}"
        )
    return {identity: texts[identity] for identity in data.caption_ids}


def _captions_file(root: Path, kind: Kind, preset: Preset) -> Path:
    """Where the captions lie, or should: in the other folder only if that one is there alone."""
    corruption, severity = kind
    folder, other = CAPTION_FOLDERS[corruption], OTHER_FOLDERS.get(corruption)
    if other and not (root / folder).is_dir() and (root / other).is_dir():
        folder = other
    return root / folder / str(severity) / preset.released_captions


def _severities(file: Path) -> str:
    """Which severities lie beside the one that is missing; word kinds have 6 and 7, styles 1."""
    if not file.parents[1].is_dir():
        return ""
    beside = sorted(path.name for path in file.parents[1].iterdir() if path.is_dir())
    return f" (severities there: {', '.join(beside) or 'none'})"


def _missing(path: Path, key: str, beside: str = "") -> UserError:
    return UserError(
        f"{path}: not found{beside}; if the released files were moved, set {key} to the folder "
        f"that holds {path.name if path.suffix == '' else path.parents[1].name}/; they are to be "
        f"had here: {RELEASED_PAGE}"
    )
