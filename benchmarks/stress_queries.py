"""Streams of image queries on which an adaptation method may go wrong, made from scenes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from PIL import Image

from reex_jax import Clip
from reex_jax.corruptions.image.kinds import corrupt_image
from reex_jax.datasets.retrieval_set import RetrievalSet

SEVERITY = 5
CORRUPTED = ("gaussian_blur", "contrast")
BATCH = 64
SMALL_BATCHES = (16, 8, 4, 2, 1)
SEED = 5


class Queries(NamedTuple):
    """What one stream asks.

    Attributes:
        kinds: [n] names of a picture's kind, see `Pictures`.
        images: [n] int, which image each picture shows.
        scored: [n] bool, whether the right answer of a query is asked for: noise has none.
    """

    kinds: np.ndarray
    images: np.ndarray
    scored: np.ndarray


@dataclass(frozen=True)
class Stress:
    """A line of the table.

    Attributes:
        name: of the line.
        draws: streams whose recall is averaged.
        batch_size: queries that arrive together.
        rate: times the method's learning rate.
    """

    name: str
    draws: tuple[Queries, ...]
    batch_size: int = BATCH
    rate: float = 1.0


@dataclass(frozen=True)
class Pictures:
    """Pictures of `count` images, preprocessed once.

    Attributes:
        by_kind: "clean" and CORRUPTED -> [count, h, w, c] float32 pixels; "noise" too, of no image;
            "black" has one.
    """

    clip: Clip
    by_kind: dict[str, np.ndarray]

    @property
    def count(self) -> int:
        """How many images."""
        return len(self.by_kind["clean"])

    @cached_property
    def topics(self) -> np.ndarray:
        """[count] positions, along the direction in which clean embeddings vary most."""
        z = self.clip.encode_pixels(self.by_kind["clean"])
        return np.argsort(np.linalg.svd(z - z.mean(axis=0), full_matrices=False)[0][:, 0])

    def pixels(self, queries: Queries) -> np.ndarray:
        """[n, h, w, c] float32, in the order in which they are asked."""
        pairs = zip(queries.kinds, queries.images, strict=True)
        return np.stack(
            [self.by_kind[kind][image % len(self.by_kind[kind])] for kind, image in pairs]
        )


def draw_pictures(clip: Clip, data: RetrievalSet, positions: np.ndarray) -> Pictures:
    """The pictures of some images of a data set; position i of them is image i of the streams."""
    images = [data.images[int(i)].convert("RGB") for i in positions]
    ids = [data.image_ids[int(i)] for i in positions]
    arrays = [np.asarray(image) for image in images]
    drawn = {"clean": images, "black": [Image.new("RGB", images[0].size)]}
    for kind in CORRUPTED:
        drawn[kind] = [
            Image.fromarray(corrupt_image(array, kind, SEVERITY, item_id=identity, seed=0))
            for array, identity in zip(arrays, ids, strict=True)
        ]
    rng = np.random.default_rng(SEED)
    noise = (rng.integers(0, 256, array.shape, dtype=np.uint8) for array in arrays)
    drawn["noise"] = [Image.fromarray(array) for array in noise]
    return Pictures(clip, {kind: clip.pixels_of(them) for kind, them in drawn.items()})


def stress_streams(pictures: Pictures, draws: int) -> Iterator[Stress]:
    """Every line of the table; `draws` streams are averaged where few queries decide."""
    n = pictures.count
    every, half = np.arange(n), np.arange(n) < n // 2
    clean = _asked("clean", every)
    blurred = _asked("gaussian_blur", every)
    yield Stress("clean", (clean,))
    yield Stress("gaussian_blur", (blurred,))
    for share in (0.1, 0.5):
        mixed = np.random.default_rng(SEED).random(n) < share
        kinds = np.where(mixed, "gaussian_blur", "clean")
        yield Stress(f"clean, {share:.0%} gaussian_blur among them", (_asked(kinds, every),))
    black = np.random.default_rng(SEED).random(n) < 0.5
    mixed_black = _asked(np.where(black, "black", "clean"), every, ~black)
    yield Stress("clean, 50% black images among them", (mixed_black,))
    yield Stress("black images", (_asked("black", every, np.zeros(n, bool)),))
    for number in (1, 4, 20, 100):
        if number < n:
            name = f"{number} queries repeated" if number > 1 else "one query repeated"
            yield Stress(name, tuple(_repeated(n, number, seed) for seed in range(draws)))
    yield Stress("Zipf popularity", tuple(_popular(n, seed) for seed in range(draws)))
    yield Stress("sorted by topic", (_asked("clean", pictures.topics),))
    for kind in ("contrast", "noise"):
        yield Stress(f"{kind}, then clean", (_asked(np.where(half, kind, "clean"), every, ~half),))
    for size in SMALL_BATCHES:
        yield Stress(f"clean, batches of {size}", (clean,), batch_size=size)
        yield Stress(f"gaussian_blur, batches of {size}", (blurred,), batch_size=size)
    for times in (10.0, 100.0):
        yield Stress(f"clean, rate x {times:g}", (clean,), rate=times)
        yield Stress(f"gaussian_blur, rate x {times:g}", (blurred,), rate=times)


def _asked(
    kinds: str | np.ndarray, images: np.ndarray, scored: np.ndarray | None = None
) -> Queries:
    all_of_them = np.ones(len(images), bool)
    return Queries(
        np.broadcast_to(kinds, len(images)), images, all_of_them if scored is None else scored
    )


def _repeated(n: int, number: int, seed: int) -> Queries:
    """As many queries as elsewhere, of `number` images that each come equally often."""
    rng = np.random.default_rng([SEED, seed])
    few = rng.permutation(n)[:number]
    return _asked("clean", rng.permutation(np.resize(few, n)))


def _popular(n: int, seed: int) -> Queries:
    """The r-th most popular image is asked for 1 / r times as often as the first."""
    rng = np.random.default_rng([SEED, seed])
    shares = 1 / np.arange(1, n + 1)
    return _asked("clean", rng.permutation(n)[rng.choice(n, n, p=shares / shares.sum())])
