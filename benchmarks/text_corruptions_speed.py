"""Milliseconds per caption and kind, on one core.

    python -m benchmarks.text_corruptions_speed

Processor time over 5,000 captions of scenes at the highest severity, the median of five passes.
Reading WordNet or the word list, once a process, is shown apart. Expect 0.02 to 0.1 ms.
"""

import statistics
import time

from reex_jax.corruptions.text.kinds import TEXT_CORRUPTIONS, corrupt_text
from reex_jax.datasets import scenes


def seconds(kind: str, captions: list[str]) -> float:
    """Processor time of one pass."""
    severity = TEXT_CORRUPTIONS[kind].severities
    began = time.process_time()
    for number, caption in enumerate(captions):
        corrupt_text(caption, kind, severity, item_id=str(number), seed=0)
    return time.process_time() - began


def main() -> None:
    """Prints a row for each kind."""
    captions = [caption for i in range(1000) for caption in scenes.caption_set("test", 0, i)]
    print("| kind | ms a caption | first call, ms |\n|---|---|---|")
    for kind in TEXT_CORRUPTIONS:
        first = seconds(kind, captions[:1])
        typical = statistics.median(seconds(kind, captions) for _ in range(5)) / len(captions)
        print(f"| {kind} | {1e3 * typical:.3f} | {1e3 * first:.1f} |")


if __name__ == "__main__":
    main()
