"""Draws a scene as an RGB image with integer arithmetic, so that every machine agrees."""

import functools

import numpy as np

from reex_jax.datasets.scene_world import COLOURS, GROUND_COLOURS, UNITS, Scene, Thing

_SUPERSAMPLING = 4  # shape edges are averaged over 4 x 4 subpixels

# Corners on a grid of +-1000 around the centre, in drawing order.
_POLYGONS = {
    "square": ((-800, -800), (800, -800), (800, 800), (-800, 800)),
    "triangle": ((0, -950), (950, 750), (-950, 750)),
    "diamond": ((0, -1000), (700, 0), (0, 1000), (-700, 0)),
    "star": (
        (0, -1000),
        (235, -324),
        (951, -309),
        (380, 124),
        (588, 809),
        (0, 400),
        (-588, 809),
        (-380, 124),
        (-951, -309),
        (-235, -324),
    ),
    "cross": (
        (-320, -950),
        (320, -950),
        (320, -320),
        (950, -320),
        (950, 320),
        (320, 320),
        (320, 950),
        (-320, 950),
        (-320, 320),
        (-950, 320),
        (-950, -320),
        (-320, -320),
    ),
}


def _inside_polygon(x: np.ndarray, y: np.ndarray, corners: tuple) -> np.ndarray:
    """Even-odd rule in whole numbers; x and y broadcast, both int64."""
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        left = (x - x0) * (y1 - y0) < (y - y0) * (x1 - x0)
        inside ^= crosses & (left == (y1 > y0))
    return inside


def _inside(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points of the +-1000 grid belong to the shape."""
    if shape in _POLYGONS:
        return _inside_polygon(x, y, _POLYGONS[shape])
    squared = x * x + y * y
    if shape == "circle":
        return squared <= 900**2
    if shape == "ring":
        return (squared <= 950**2) & (squared >= 520**2)
    if shape == "heart":
        lobes = (np.abs(x) - 460) ** 2 + (y + 330) ** 2 <= 490**2
        point = (y >= -330) & (np.abs(x) * 1280 <= (950 - y) * 950)
        return lobes | (point & (np.abs(x) <= 950))
    raise ValueError(f"no drawing for shape {shape!r}")


@functools.lru_cache(maxsize=512)
def shape_mask(shape: str, radius: int) -> np.ndarray:
    """Coverage of a shape in sixteenths, uint8 [2 radius + 1, 2 radius + 1]; radius in pixels."""
    fine = (2 * radius + 1) * _SUPERSAMPLING
    # Subpixel centres from -1000 to 1000 across the box, rounded towards the centre: symmetric.
    offsets = 2 * np.arange(fine, dtype=np.int64) + 1 - fine
    steps = np.sign(offsets) * (np.abs(offsets) * 1000 // fine)
    inside = _inside(shape, steps[None, :], steps[:, None])
    side = 2 * radius + 1
    mask = inside.reshape(side, _SUPERSAMPLING, side, _SUPERSAMPLING).sum(axis=(1, 3))
    mask = mask.astype(np.uint8)
    mask.setflags(write=False)
    return mask


@functools.lru_cache(maxsize=64)
def texture_pattern(texture: str, size: int, cell: int) -> np.ndarray:
    """The tone of each pixel, 0 or 1: intp [2 size, 2 size], to be cut at any shift."""
    rows = np.arange(2 * size)[:, None] // cell % 2
    columns = np.arange(2 * size)[None, :] // cell % 2
    patterns = {
        "solid": 0 * rows * columns,
        "striped": (np.arange(2 * size)[:, None] + np.arange(2 * size)[None, :]) // cell % 2,
        "dotted": rows & columns,
        "checkered": rows ^ columns,
    }
    same = {"plain": "solid", "grainy": "solid", "lined": "striped", "spotted": "dotted"}
    same["tiled"] = "checkered"
    pattern = patterns[same.get(texture, texture)].astype(np.intp)
    pattern.setflags(write=False)
    return pattern


def _tones(base: tuple[int, int, int], tint: tuple[int, int, int], contrast: int) -> np.ndarray:
    """First and second tone of a texture, int16 [2, 3]; contrast is a grey-level shift.

    Dark colours get a lighter second tone, light ones a darker, so that it is always seen.
    """
    first = [min(max(c + t, 0), 255) for c, t in zip(base, tint, strict=True)]
    shift = contrast if sum(first) < 384 else -contrast
    return np.array([first, [min(max(c + shift, 0), 255) for c in first]], np.int16)


def _grain(phase: tuple[int, int], size: int, spread: int) -> np.ndarray:
    """Pixel noise in [-spread, spread], int16 [size, size, 1], fixed by the phase."""
    words = np.random.Philox(key=[phase[0], phase[1]]).random_raw((size * size + 7) // 8)
    noise = words.astype("<u8").view(np.uint8)[: size * size].reshape(size, size, 1)
    return (noise.astype(np.int16) * (2 * spread + 1) >> 8) - spread


def _draw_ground(scene: Scene, size: int) -> np.ndarray:
    tones = _tones(GROUND_COLOURS[scene.ground_colour], scene.ground_tint, contrast=38)
    cell = max(1, 5 * size // UNITS)
    pattern = texture_pattern(scene.ground_texture, size, cell)
    top, left = (p * size // UNITS for p in scene.phase)
    image = tones[pattern[top : top + size, left : left + size]]
    if scene.ground_texture == "grainy":
        image = np.clip(image + _grain(scene.phase, size, 40), 0, 255)
    return image


def _draw_thing(image: np.ndarray, thing: Thing, phase: tuple[int, int]) -> None:
    """Blends one thing into image [size, size, 3] int16, in place."""
    size = image.shape[0]
    radius = thing.radius * size // UNITS
    top, left = thing.y * size // UNITS - radius, thing.x * size // UNITS - radius
    mask = shape_mask(thing.shape, radius)
    rows = slice(max(top, 0), min(top + mask.shape[0], size))
    columns = slice(max(left, 0), min(left + mask.shape[1], size))
    mask = mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    cell = max(1, 4 * size // UNITS)
    pattern = texture_pattern(thing.texture, size, cell)
    down, right = (p % (2 * cell) for p in phase)
    pattern = pattern[down : down + mask.shape[0], right : right + mask.shape[1]]
    paint = _tones(COLOURS[thing.colour], thing.tint, contrast=95)[pattern]
    cover = mask[:, :, None].astype(np.int16)
    # Coverage counts sixteenths; 255 * 16 fits int16.
    region = image[rows, columns]
    image[rows, columns] = (region * (16 - cover) + paint * cover + 8) >> 4


def draw_scene(scene: Scene, size: int = 64) -> np.ndarray:
    """The scene as uint8 RGB [size, size, 3].

    Args:
        scene: what to draw.
        size: side in pixels, at least 16 (below that shapes vanish).

    Raises:
        ValueError: size is below 16.
    """
    if size < 16:
        raise ValueError(f"a scene needs at least 16 pixels a side, not {size}")
    image = _draw_ground(scene, size)
    for thing in scene.things:
        _draw_thing(image, thing, scene.phase)
    return image.astype(np.uint8)
