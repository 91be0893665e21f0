"""Images a second through the query pipeline, against decoding and corrupting them alone.

    python -m benchmarks.pipeline_speed [--workers 2 3] [--images 64] [--repeats 60]

For each cheap corruption at severity 5: JPEG files of 224 pixels, decoded and corrupted in a plain
loop (the baseline), and the same with preprocessing for a ViT-B/16, in batches of 32 through
`prepared_batches`. The two take turns in short bursts with pauses, and the fastest of each counts,
because other work on the machine only ever slows one down. Promised: 120 images/s and 0.8 of the
baseline with two workers on two free cores.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from reex_jax.datasets import scenes
from reex_jax.datasets.image_files import ImageFiles
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.models.preprocess import Preprocessing, preprocess_image
from reex_jax.queries.own import corrupted_array
from reex_jax.queries.pipeline import prepared_batches
from reex_jax.queries.streams import Stream
from reex_jax.settings.choices import IMAGE_TO_TEXT

KINDS = ("gaussian_noise", "brightness", "contrast", "pixelate", "jpeg_compression")
SIZE, SEVERITY, BATCH_SIZE, PAUSE = 224, 5, 32, 0.25


def main() -> None:
    """Prints one line for each corruption, and the slowest ratio of each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = write_images(Path(folder), options.images)
        ratios: dict[int, list[float]] = {workers: [] for workers in options.workers}
        for kind in KINDS:
            alone, through = measure(data, kind, options.workers, options.repeats)
            shown = []
            for workers, speed in through.items():
                ratios[workers].append(speed / alone)
                shown.append(f"{workers}: {speed:.0f} ({speed / alone:.2f})")
            print(f"{kind:17} alone {alone:5.0f}/s; by workers {', '.join(shown)}", flush=True)
    print("lowest ratio: " + ", ".join(f"{w}: {min(r):.2f}" for w, r in ratios.items()))


def write_images(folder: Path, count: int) -> RetrievalSet:
    """Scenes as JPEG files, with one caption each."""
    paths = tuple(folder / f"{index:06d}.jpg" for index in range(count))
    for index, path in enumerate(paths):
        Image.fromarray(scenes.image("test", 0, index, SIZE)).save(path, quality=90)
    ids = tuple(path.name for path in paths)
    owners = np.arange(count, dtype=np.int32)
    return RetrievalSet("speed", ids, ImageFiles(paths), ("a scene",) * count, ids, owners, "", "")


def measure(
    data: RetrievalSet, kind: str, all_workers: list[int], repeats: int
) -> tuple[float, dict[int, float]]:
    """Most images a second: alone, and through the pipeline by number of workers."""
    positions = range(len(data.image_ids))
    settings = Preprocessing(SIZE)
    stream = Stream(IMAGE_TO_TEXT, kind, SEVERITY, 0)

    def corrupt(position: int) -> np.ndarray:
        return corrupted_array(data, stream, position)

    def prepare(position: int) -> np.ndarray:
        return preprocess_image(Image.fromarray(corrupt(position)), settings)

    def pipeline(workers: int) -> None:
        for _ in prepared_batches(positions, prepare, batch_size=BATCH_SIZE, workers=workers):
            pass

    def plain() -> None:
        for position in positions:
            corrupt(position)

    alone: list[float] = []
    through: dict[int, list[float]] = {workers: [] for workers in all_workers}
    for _ in range(repeats):
        alone.append(len(positions) / seconds(plain))
        for workers in all_workers:
            speed = len(positions) / seconds(lambda workers=workers: pipeline(workers))
            through[workers].append(speed)
    return max(alone), {workers: max(speeds) for workers, speeds in through.items()}


def seconds(work: Callable[[], None]) -> float:
    """How long a piece of work takes, begun after a pause."""
    time.sleep(PAUSE)
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
