"""What a generated scene is made of: a few shapes on a ground, drawn from a seed.

Everything is integer arithmetic on the raw output of a Philox counter generator. NumPy keeps
that stream fixed for ever, while it may change the methods of `Generator`; so a scene is the
same on every machine and with every NumPy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

SHAPES = ("circle", "square", "triangle", "diamond", "star", "ring", "cross", "heart")
COLOURS = {
    "red": (205, 38, 40),
    "orange": (240, 135, 30),
    "yellow": (240, 215, 50),
    "green": (50, 160, 60),
    "blue": (45, 85, 215),
    "purple": (130, 55, 165),
    "pink": (245, 140, 180),
    "white": (245, 245, 240),
    "black": (25, 25, 30),
}
TEXTURES = ("solid", "striped", "dotted", "checkered")
SIZES = {"small": (9, 10), "medium": (12, 13), "large": (15, 17)}  # radius in 64ths, from-to
GROUND_COLOURS = {
    "grey": (140, 140, 142),
    "sand": (205, 185, 145),
    "navy": (32, 42, 85),
    "teal": (45, 130, 130),
    "olive": (110, 115, 55),
    "maroon": (100, 35, 50),
    "lilac": (180, 165, 215),
    "brown": (115, 80, 50),
}
GROUND_TEXTURES = ("plain", "lined", "spotted", "tiled", "grainy")
UNITS = 64  # positions and radii are 64ths of the image side
_RAW_PER_SCENE = 192  # more than any scene and its captions use before the stream refills

T = TypeVar("T")


class Dice:
    """Integer random choices from one Philox stream, a function of its key alone.

    The modulo bias of `below` is under 1e-15 for the small ranges used here.
    """

    def __init__(self, seed: int, stream: int, index: int):
        """A stream of its own for every (seed, stream, index); each in [0, 2**32)."""
        self._bits = np.random.Philox(key=[(seed << 32) | stream, index])
        self._values: list[int] = []

    def raw(self) -> int:
        """The next 64 random bits."""
        if not self._values:
            self._values = self._bits.random_raw(_RAW_PER_SCENE).tolist()
            self._values.reverse()
        return self._values.pop()

    def below(self, n: int) -> int:
        """A number in [0, n)."""
        return self.raw() % n

    def between(self, low: int, high: int) -> int:
        """A number in [low, high], both included."""
        return low + self.raw() % (high - low + 1)

    def chance(self, percent: int) -> bool:
        """True in `percent` of 100 cases."""
        return self.raw() % 100 < percent

    def pick(self, options: Sequence[T]) -> T:
        return options[self.raw() % len(options)]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """A new list in random order (Fisher-Yates)."""
        out = list(items)
        for i in range(len(out) - 1, 0, -1):
            j = self.below(i + 1)
            out[i], out[j] = out[j], out[i]
        return out


@dataclass(frozen=True)
class Thing:
    """One shape of a scene. Position and radius are in 64ths of the image side."""

    shape: str
    colour: str
    texture: str
    size: str
    x: int
    y: int
    radius: int
    tint: tuple[int, int, int]  # added to the colour's RGB


@dataclass(frozen=True)
class Scene:
    """Two or three things on a ground."""

    things: tuple[Thing, ...]
    ground_colour: str
    ground_texture: str
    ground_tint: tuple[int, int, int]
    phase: tuple[int, int]  # shift of the textures, in 64ths


def _tint(dice: Dice, spread: int) -> tuple[int, int, int]:
    return (
        dice.between(-spread, spread),
        dice.between(-spread, spread),
        dice.between(-spread, spread),
    )


def _is_free(x: int, y: int, radius: int, placed: Sequence[Thing]) -> bool:
    """True if the new thing touches no other by more than a tenth of the two radii."""
    return all(
        100 * ((x - t.x) ** 2 + (y - t.y) ** 2) >= 81 * (radius + t.radius) ** 2 for t in placed
    )


def _place(dice: Dice, radius: int, placed: Sequence[Thing]) -> tuple[int, int]:
    """A free position, or after 24 tries one that overlaps."""
    x = y = 0
    for _ in range(24):
        x = dice.between(radius, UNITS - 1 - radius)
        y = dice.between(radius, UNITS - 1 - radius)
        if _is_free(x, y, radius, placed):
            break
    return x, y


def sample_scene(dice: Dice) -> Scene:
    """Draws one scene. No two of its things share both shape and colour."""
    count = 2 if dice.chance(50) else 3
    sizes = tuple(SIZES)
    things: list[Thing] = []
    while len(things) < count:
        shape, colour = dice.pick(SHAPES), dice.pick(tuple(COLOURS))
        if any((t.shape, t.colour) == (shape, colour) for t in things):
            continue
        size = dice.pick(sizes)
        radius = dice.between(*SIZES[size])
        texture = "solid" if dice.chance(40) else dice.pick(TEXTURES[1:])
        x, y = _place(dice, radius, things)
        things.append(Thing(shape, colour, texture, size, x, y, radius, _tint(dice, 12)))
    return Scene(
        things=tuple(things),
        ground_colour=dice.pick(tuple(GROUND_COLOURS)),
        ground_texture=dice.pick(GROUND_TEXTURES),
        ground_tint=_tint(dice, 10),
        phase=(dice.below(UNITS), dice.below(UNITS)),
    )
