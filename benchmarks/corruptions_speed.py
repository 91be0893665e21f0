"""Milliseconds that each image corruption takes for a 224-pixel image on one core.

    python -m benchmarks.corruptions_speed              # about 20 s
    python -m benchmarks.corruptions_speed --side 640

Processor time, so that other work on the machine counts little; the median over images. Prints a
Markdown table, and fails if a kind takes more than 25 ms at its slowest severity (224 pixels or
fewer). Expect all to stay below 12 ms.
"""

import argparse
import statistics
import sys
import time

import numpy as np
from PIL import Image

from reex_jax.corruptions.image.kinds import IMAGE_CORRUPTIONS, corrupt_image
from tools.corruption_gallery import drawn_picture

LIMIT = 25.0


def milliseconds(image: np.ndarray, kind: str, severity: int, count: int) -> float:
    """Median processor time of `count` images."""
    times = []
    for number in range(count + 1):
        began = time.process_time()
        corrupt_image(image, kind, severity, item_id=str(number), seed=0)
        times.append(1000 * (time.process_time() - began))
    return statistics.median(times[1:])  # the first one warms up


def main() -> None:
    """Measures every kind and severity, prints the table and fails above the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--count", type=int, default=15, help="images per kind and severity")
    arguments = parser.parse_args()
    side = arguments.side
    image = np.asarray(Image.fromarray(drawn_picture()).resize((side, side)))
    print(f"| corruption, {side} x {side} | ms, mean of severities | ms, slowest severity |")
    print("| --- | --- | --- |")
    slowest = 0.0
    for kind, corruption in IMAGE_CORRUPTIONS.items():
        times = [
            milliseconds(image, kind, severity, arguments.count)
            for severity in range(1, corruption.severities + 1)
        ]
        slowest = max(slowest, *times)
        print(f"| {kind} | {statistics.mean(times):.1f} | {max(times):.1f} |")
    if side <= 224 and slowest > LIMIT:
        sys.exit(f"{slowest:.1f} ms is above the limit of {LIMIT} ms")


if __name__ == "__main__":
    main()
