"""Makes reference.npz: what the package imagecorruptions gives for the kinds without chance.

The package installs over others (opencv, numba), so give it an environment of its own:

    python -m venv reference && reference/bin/pip install imagecorruptions-imaug==1.1.5
    reference/bin/python tests/data/corruptions/make_reference.py

The two images are generated: colour ramps, shapes with sharp edges, even areas, black, white and
a patch of noise. Arrays are stored as differences from the pixel on the left (modulo 256), which
makes the file three times smaller; `np.cumsum(array, axis=-2, dtype=np.uint8)` undoes it.
"""

from pathlib import Path

import numpy as np
from imagecorruptions import corrupt

KINDS = ("contrast", "brightness", "defocus_blur", "pixelate", "jpeg_compression")
SIZES = {"square": (64, 64), "odd": (97, 131)}


def picture(height: int, width: int) -> np.ndarray:
    """A generated image, uint8 [height, width, 3]."""
    y, x = np.mgrid[:height, :width]
    ramps = (255 * x // (width - 1), 255 * y // (height - 1), 128 + 0 * x)
    image = np.stack(ramps, axis=2).astype(np.uint8)
    disc = (y - height // 2) ** 2 + (x - width // 3) ** 2 < (height // 5) ** 2
    image[disc] = (230, 40, 30)
    image[: height // 4, : width // 3] = 0
    image[: height // 6, -width // 4 :] = 255
    image[-(height // 5) :, : width // 4] = (0, 0, 1)
    noise = np.random.default_rng(0).integers(0, 256, (height // 5, width // 5, 3), np.uint8)
    image[-(height // 5) :, -(width // 5) :] = noise
    return image


def main() -> None:
    """Writes reference.npz beside this file."""
    arrays = {}
    for name, size in SIZES.items():
        image = picture(*size)
        arrays[name] = image
        for kind in KINDS:
            outputs = [corrupt(image, severity, kind) for severity in range(1, 6)]
            arrays[f"{name}/{kind}"] = np.stack(outputs)
    zero = np.uint8(0)
    steps = {name: np.diff(array, axis=-2, prepend=zero) for name, array in arrays.items()}
    np.savez_compressed(Path(__file__).with_name("reference.npz"), **steps)


if __name__ == "__main__":
    main()
