"""Makes reference.npz: what the package imagecorruptions gives for two images.

The package installs over others (opencv, numba), so give it an environment of its own:

    python -m venv reference && reference/bin/pip install imagecorruptions-imaug==1.1.5
    reference/bin/python tests/data/corruptions/make_reference.py

It takes one to three minutes. The two images are generated: colour ramps, shapes with sharp edges,
even areas, black, white and a patch of noise. Of the kinds without chance the file holds the
outputs, as differences from the pixel on the left (modulo 256), which makes it three times
smaller; `np.cumsum(array, axis=-2, dtype=np.uint8)` undoes it. Of the kinds with chance it holds
the mean and the standard deviation of `statistics` over RUNS runs on the larger image; of those
that put something on the image also on an even grey one, where nothing hides it. For spatter it
holds what OpenCV makes of one field of drops.
"""

import itertools
from pathlib import Path

import numpy as np

EXACT = (
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
    "gaussian_blur",
    "saturate",
)
RANDOM = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "speckle_noise",
    "glass_blur",
    "motion_blur",
    "snow",
    "frost",
    "fog",
    "elastic_transform",
    "spatter",
)
ADDED = ("snow", "frost", "fog", "spatter")
SIZES = {"square": (64, 64), "odd": (97, 131)}
RUNS = 400
OCTAVES = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)


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


def grey() -> np.ndarray:
    """An even image, uint8 [97, 131, 3]."""
    return np.full((*SIZES["odd"], 3), 100, np.uint8)


def statistics(output: np.ndarray, image: np.ndarray) -> np.ndarray:
    """What kinds with chance are compared by, float64 [11].

    Mean of each channel, variance of each channel, and the amplitude of the change (averaged over
    channels, under a Hann window) in each of the five octaves of frequency up to half a cycle per
    pixel. Amplitudes and not powers, whose mean a few runs can dominate.

    Args:
        output: the corrupted image, uint8 [h, w, 3].
        image: the image before.
    """
    levels = output.astype(float)
    change = (levels - image).mean(axis=2)
    change = (change - change.mean()) * np.outer(*(np.hanning(side) for side in change.shape))
    power = np.abs(np.fft.fft2(change)) ** 2 / change.size**2
    down, right = (np.fft.fftfreq(side) for side in change.shape)
    frequency = np.hypot(down[:, np.newaxis], right)
    bands = [
        np.sqrt(power[(frequency >= low) & (frequency < high)].sum())
        for low, high in itertools.pairwise(OCTAVES)
    ]
    return np.array([*levels.mean(axis=(0, 1)), *levels.var(axis=(0, 1)), *bands])


def main() -> None:
    """Writes reference.npz beside this file."""
    import cv2
    from imagecorruptions import corrupt

    arrays = {}
    zero = np.uint8(0)
    for name, size in SIZES.items():
        image = picture(*size)
        arrays[name] = np.diff(image, axis=-2, prepend=zero)
        for kind in EXACT:
            outputs = np.stack([corrupt(image, severity, kind) for severity in range(1, 6)])
            arrays[f"{name}/{kind}"] = np.diff(outputs, axis=-2, prepend=zero)
    np.random.seed(0)
    cases = [(f"odd/{kind}", image, kind) for kind in RANDOM]
    cases += [(f"grey/{kind}", grey(), kind) for kind in ADDED]
    for name, image, kind in cases:
        for severity in range(1, 6):
            runs = []
            for run in range(RUNS):
                # These two draw from a generator of their own.
                own = {"seed": run} if kind in ("impulse_noise", "glass_blur") else {}
                runs.append(statistics(corrupt(image, severity, kind, **own), image))
            moments = np.stack([np.mean(runs, axis=0), np.std(runs, axis=0)])
            arrays[f"statistics/{name}/{severity}"] = moments
    field = cv2.GaussianBlur(np.random.default_rng(0).normal(160, 75, (97, 131)), (0, 0), 2)
    arrays["spatter/levels"] = np.where(field >= 168, field, 0).astype(np.uint8)
    arrays["spatter/outlines"] = cv2.Canny(arrays["spatter/levels"], 50, 150) > 0
    arrays["spatter/equalised"] = cv2.equalizeHist(arrays["spatter/levels"])
    np.savez_compressed(Path(__file__).with_name("reference.npz"), **arrays)


if __name__ == "__main__":
    main()
