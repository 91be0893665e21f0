"""How many processor cores keep an accelerator busy with corrupted photos from JPEG files.

    python -m benchmarks.host_cores --device-rate 1500    # images/s that the device adapts to

For each image corruption of the benchmark, on one core: milliseconds to read and decode a JPEG
file of COCO's commonest size (640 x 480; a generated scene, enlarged), to corrupt it at severity 5,
and to resize and crop it to the 224 pixels of a ViT-B/16, as bytes. Cores: the device's rate times
the mean of all kinds. A method after the first finds the bytes in `data.memory`, and needs none of
this.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tabulate import tabulate

from reex_jax.corruptions.image.kinds import IMAGE_BENCHMARK, corrupt_image
from reex_jax.datasets import scenes
from reex_jax.models.preprocess import Preprocessing, crop_image

WIDTH, HEIGHT, SIDE, SEVERITY = 640, 480, 224, 5


def write_photos(folder: Path, count: int) -> list[Path]:
    """Scenes with a little noise, so that the files are about as long as those of photos."""
    paths = []
    for index in range(count):
        image = Image.fromarray(scenes.image("test", 0, index, SIDE)).resize((WIDTH, HEIGHT))
        noise = np.random.default_rng(index).normal(0, 6, (HEIGHT, WIDTH, 3))
        pixels = np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
        paths.append(folder / f"{index:04d}.jpg")
        Image.fromarray(pixels).save(paths[-1], quality=90)
    return paths


def decoded(path: Path) -> np.ndarray:
    """[480, 640, 3] uint8."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def per_image_ms(work: Callable[[Any], Any], inputs: list[Any], turns: int) -> float:
    """Milliseconds for one input; the fastest turn, since other work only slows one down."""
    best = float("inf")
    for _ in range(turns):
        began = time.perf_counter()
        for one in inputs:
            work(one)
        best = min(best, time.perf_counter() - began)
    return 1e3 * best / len(inputs)


def measure(paths: list[Path], turns: int) -> list[dict[str, Any]]:
    """A row for every kind, then one of their means."""
    images = [decoded(path) for path in paths]
    settings = Preprocessing(SIDE)
    decode = per_image_ms(decoded, list(paths), turns)
    crop = per_image_ms(lambda x: crop_image(Image.fromarray(x), settings), images, turns)
    rows = []
    for kind in IMAGE_BENCHMARK:

        def corrupt(x: np.ndarray, kind: str = kind) -> np.ndarray:
            return corrupt_image(x, kind, SEVERITY, item_id="speed", seed=0)

        corrupt(images[0])  # reads what the kind needs
        own = per_image_ms(corrupt, images, turns)
        rows.append({"kind": kind, "decode ms": decode, "corrupt ms": own, "crop ms": crop})
        rows[-1]["all ms"] = decode + own + crop
    names = [name for name in rows[0] if name != "kind"]
    means = {name: float(np.mean([row[name] for row in rows])) for name in names}
    return [*rows, {"kind": "mean", **means}]


def main() -> None:
    """Prints the table, images a second of one core, and the cores for a device."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device-rate", type=float, default=0.0, help="images/s of the device")
    parser.add_argument("--out", type=Path, help="write the numbers here, as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(write_photos(Path(folder), given.images), given.turns)
    print(tabulate(rows, headers="keys", tablefmt="github", floatfmt=".1f"))
    rate = 1e3 / rows[-1]["all ms"]
    print(f"\none core: {rate:.0f} images/s")
    if given.device_rate:
        print(f"cores for {given.device_rate:.0f} images/s: {given.device_rate / rate:.0f}")
    if given.out:
        given.out.write_text(
            json.dumps({"core_rate": rate, "rows": rows}, indent=1) + "\n", "utf-8"
        )


if __name__ == "__main__":
    main()
