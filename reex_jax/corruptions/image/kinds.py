"""Image corruptions of ImageNet-C, seeded for each image.

Definitions, names and constants are those of Hendrycks and Dietterich, "Benchmarking Neural
Network Robustness to Common Corruptions and Perturbations", ICLR 2019, and of their code; where
the package `imagecorruptions` made a kind fit any size (motion blur, elastic transform), its
definition is used. docs/corruptions.md says where ours differ, and why.

The constants are meant for 224 x 224 pixels. For smaller pictures (CIFAR-10-C, Tiny-ImageNet-C)
the authors made sets with weaker constants; here, as in that package, an image of any size gets
the constants for 224, with lengths in pixels. So the same severity harms a small picture more:
compare severities only at one size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from reex_jax.corruptions.image.blur import defocus_blur
from reex_jax.corruptions.image.digital import contrast, jpeg_compression, pixelate, saturate
from reex_jax.corruptions.image.elastic import elastic_transform
from reex_jax.corruptions.image.fog import fog
from reex_jax.corruptions.image.frost import frost
from reex_jax.corruptions.image.gaussian import gaussian_blur
from reex_jax.corruptions.image.glass import glass_blur
from reex_jax.corruptions.image.motion import motion_blur, zoom_blur
from reex_jax.corruptions.image.noise import (
    gaussian_noise,
    impulse_noise,
    shot_noise,
    speckle_noise,
)
from reex_jax.corruptions.image.snow import snow
from reex_jax.corruptions.image.spatter import spatter
from reex_jax.corruptions.image.weather import brightness
from reex_jax.corruptions.seeding import item_rng
from reex_jax.corruptions.severity import check_severity
from reex_jax.errors import UserError, unknown


@dataclass(frozen=True)
class ImageCorruption:
    """One kind of corruption.

    Attributes:
        apply: a pure function (image uint8 [h, w, 3], constant, rng) -> uint8 [h, w, 3].
        constants: what `apply` is given at severity 1, 2 and so on.
        held_out: for tuning only, never part of a reported benchmark.
    """

    apply: Callable[[np.ndarray, Any, np.random.Generator], np.ndarray]
    constants: tuple[Any, ...]
    held_out: bool = False

    @property
    def severities(self) -> int:
        """The highest severity."""
        return len(self.constants)


IMAGE_CORRUPTIONS: Mapping[str, ImageCorruption] = MappingProxyType(
    {
        "gaussian_noise": ImageCorruption(gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
        "shot_noise": ImageCorruption(shot_noise, (60, 25, 12, 5, 3)),
        "impulse_noise": ImageCorruption(impulse_noise, (0.03, 0.06, 0.09, 0.17, 0.27)),
        "speckle_noise": ImageCorruption(speckle_noise, (0.15, 0.2, 0.35, 0.45, 0.6)),
        "defocus_blur": ImageCorruption(
            defocus_blur, ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))
        ),
        "glass_blur": ImageCorruption(
            glass_blur, ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
        ),
        "motion_blur": ImageCorruption(
            motion_blur, ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
        ),
        "zoom_blur": ImageCorruption(
            zoom_blur, ((12, 0.01), (16, 0.01), (11, 0.02), (13, 0.02), (11, 0.03))
        ),
        "snow": ImageCorruption(
            snow,
            (
                (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
                (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
                (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
                (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
                (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
            ),
        ),
        "frost": ImageCorruption(
            frost, ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
        ),
        "fog": ImageCorruption(fog, ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))),
        "brightness": ImageCorruption(brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
        "contrast": ImageCorruption(contrast, (0.4, 0.3, 0.2, 0.1, 0.05)),
        "elastic_transform": ImageCorruption(elastic_transform, (12.5, 16.25, 21.25, 25.0, 30.0)),
        "pixelate": ImageCorruption(pixelate, (0.6, 0.5, 0.4, 0.3, 0.25)),
        "jpeg_compression": ImageCorruption(jpeg_compression, (25, 18, 15, 10, 7)),
        "gaussian_blur": ImageCorruption(gaussian_blur, (1, 2, 3, 4, 6), held_out=True),
        "spatter": ImageCorruption(
            spatter,
            (
                (0.65, 0.3, 4, 0.69, 0.6, False),
                (0.65, 0.3, 3, 0.68, 0.6, False),
                (0.65, 0.3, 2, 0.68, 0.5, False),
                (0.65, 0.3, 1, 0.65, 1.5, True),
                (0.67, 0.4, 1, 0.65, 1.5, True),
            ),
            held_out=True,
        ),
        "saturate": ImageCorruption(
            saturate, ((3, 0), (1, 0), (20, 0), (50, 1), (200, 2)), held_out=True
        ),
    }
)

IMAGE_BENCHMARK = tuple(name for name, kind in IMAGE_CORRUPTIONS.items() if not kind.held_out)
"""The 16 kinds on which results are reported; the others are there for tuning."""


def corrupt_image(
    array: np.ndarray, corruption: str, severity: int, *, item_id: str, seed: int
) -> np.ndarray:
    """Corrupts one image; equal arguments always give equal bytes.

    Args:
        array: uint8 [h, w, 3], left as it is.
        corruption: a name in IMAGE_CORRUPTIONS.
        severity: 1 (weakest) to 5; 0 gives the image unchanged.
        item_id: the image's id.
        seed: the run's seed.

    Returns:
        A new array, uint8 [h, w, 3].

    Raises:
        UserError: the name is unknown, the severity does not exist, or the array is of another
            type or shape.
    """
    if corruption not in IMAGE_CORRUPTIONS:
        raise unknown("image corruption", corruption, IMAGE_CORRUPTIONS)
    kind = IMAGE_CORRUPTIONS[corruption]
    severity = check_severity(corruption, severity, kind.severities)
    _check_image(array, item_id)
    rng = item_rng(item_id, corruption, severity, seed)
    if severity == 0:
        return array.copy()
    return kind.apply(array, kind.constants[severity - 1], rng)


def _check_image(array: np.ndarray, item_id: str) -> None:
    if not isinstance(array, np.ndarray):
        raise UserError(
            f"image {item_id!r} is a {type(array).__name__}; give a NumPy array, for a PIL image "
            'np.asarray(image.convert("RGB"))'
        )
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise UserError(
            f"image {item_id!r} is {array.dtype} {list(array.shape)}; corruptions need uint8 "
            "[height, width, 3] with at least one pixel"
        )
