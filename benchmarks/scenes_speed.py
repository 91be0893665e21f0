"""Images and captions per second that one core generates.

    python -m benchmarks.scenes_speed

Processor time, so that other work on the machine counts little. Expect over 2,000 images/s.
"""

import time

from reex_jax.datasets import scenes


def per_second(make, count: int = 2000) -> float:
    """Calls make(0) ... make(count - 1), once for warming up and once timed."""
    for index in range(200):
        make(index)
    began = time.process_time()
    for index in range(count):
        make(index)
    return count / (time.process_time() - began)


if __name__ == "__main__":
    images = per_second(lambda i: scenes.image("test", 0, i))
    captions = 5 * per_second(lambda i: scenes.caption_set("test", 0, i))
    print(f"{images:.0f} images/s of 64 px, {captions:.0f} captions/s on one core")
