"""Image corruptions of ImageNet-C, seeded for each image.

Definitions, names and constants are those of Hendrycks and Dietterich, "Benchmarking Neural
Network Robustness to Common Corruptions and Perturbations", ICLR 2019, and of their code. The
constants are meant for 224 x 224 pixels. For smaller pictures (CIFAR-10-C, Tiny-ImageNet-C) the
authors made sets with weaker constants; here, as in the package `imagecorruptions`, an image of
any size gets the constants for 224, with lengths in pixels. So the same severity harms a small
picture more: compare severities only at one size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from reex_jax.corruptions.image_blur import defocus_blur
from reex_jax.corruptions.image_digital import contrast, jpeg_compression, pixelate
from reex_jax.corruptions.image_noise import gaussian_noise, shot_noise
from reex_jax.corruptions.image_weather import brightness
from reex_jax.corruptions.seeding import item_rng
from reex_jax.corruptions.severity import check_severity
from reex_jax.errors import UserError, unknown


@dataclass(frozen=True)
class ImageCorruption:
    """One kind of corruption.

    Attributes:
        apply: a pure function (image uint8 [h, w, 3], constant, rng) -> uint8 [h, w, 3].
        constants: what `apply` is given at severity 1, 2 and so on.
    """

    apply: Callable[[np.ndarray, Any, np.random.Generator], np.ndarray]
    constants: tuple[Any, ...]

    @property
    def severities(self) -> int:
        """The highest severity."""
        return len(self.constants)


IMAGE_CORRUPTIONS: Mapping[str, ImageCorruption] = MappingProxyType(
    {
        "gaussian_noise": ImageCorruption(gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
        "shot_noise": ImageCorruption(shot_noise, (60, 25, 12, 5, 3)),
        "defocus_blur": ImageCorruption(
            defocus_blur, ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))
        ),
        "brightness": ImageCorruption(brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
        "contrast": ImageCorruption(contrast, (0.4, 0.3, 0.2, 0.1, 0.05)),
        "pixelate": ImageCorruption(pixelate, (0.6, 0.5, 0.4, 0.3, 0.25)),
        "jpeg_compression": ImageCorruption(jpeg_compression, (25, 18, 15, 10, 7)),
    }
)


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
