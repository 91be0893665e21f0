"""Endless training batches of generated scenes, a function of (seed, step) alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import grain.python as grain
import numpy as np

from reex_jax.datasets import scenes
from reex_jax.datasets.scene_world import Dice

_ROUGHEN_STREAM = 0  # scenes use the streams from 2 on


@dataclass(frozen=True)
class BatchSource:
    """Random access to batches by step, so that a resumed run sees what it would have seen.

    Attributes:
        seed: the seed of the training scenes.
        batch_size: pairs in a batch.
        tokenize: captions -> token ids [n, length] int32, always of the same length.
        split_percent, drop_percent: see `roughen`.
    """

    seed: int
    batch_size: int
    tokenize: Callable[[Sequence[str]], np.ndarray]
    split_percent: int = 0
    drop_percent: int = 0

    def __call__(self, step: int) -> dict[str, np.ndarray]:
        """Images uint8 [batch, 64, 64, 3] and ids int32 [batch, length] of one step."""
        first = int(step) * self.batch_size
        indices = range(first, first + self.batch_size)
        images = np.stack([scenes.image("train", self.seed, i) for i in indices])
        captions = [self._caption(i) for i in indices]
        return {"images": images, "ids": self.tokenize(captions)}

    def _caption(self, index: int) -> str:
        caption = scenes.caption_set("train", self.seed, index, count=1)[0]
        dice = Dice(self.seed, _ROUGHEN_STREAM, index)
        return roughen(caption, dice, self.split_percent, self.drop_percent)


def roughen(caption: str, dice: Dice, split_percent: int, drop_percent: int) -> str:
    """Splits some words in two by a blank and leaves some out, never all of them.

    So the model learns what pieces of words mean, without having seen the benchmark's typos.

    Args:
        caption: any text.
        dice: where chance comes from.
        split_percent: chance of each word of four letters or more to be split.
        drop_percent: chance of each word to be left out.
    """
    words = []
    for word in caption.split():
        if dice.chance(drop_percent):
            continue
        if len(word) >= 4 and dice.chance(split_percent):
            at = dice.between(1, len(word) - 1)
            word = f"{word[:at]} {word[at:]}"
        words.append(word)
    return " ".join(words) or caption


def training_batches(
    source: BatchSource, first_step: int, num_steps: int
) -> Iterator[dict[str, np.ndarray]]:
    """The batches of steps first_step .. num_steps - 1, made ahead in two threads."""
    steps = grain.MapDataset.range(first_step, num_steps)
    ahead = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
    return iter(steps.map(source).to_iter_dataset(ahead))
