"""Every corruption at a glance: one image under 16 kinds and 5 severities, one caption under each.

python -m tools.corruption_gallery corruptions.png [photo.jpg]

Draws the images into the first file and prints the captions. Without a photo it takes a picture
that is drawn here, 224 x 224; a photo is scaled so that its shorter side has 224 pixels, and cut.
"""

import sys
from pathlib import Path

import numpy as np
from absl import app
from PIL import Image, ImageDraw, ImageFont, ImageOps

from reex_jax.corruptions.image.kinds import IMAGE_BENCHMARK, IMAGE_CORRUPTIONS, corrupt_image
from reex_jax.corruptions.text.kinds import TEXT_CORRUPTIONS, corrupt_text
from reex_jax.errors import UserError
from reex_jax.models.images import open_image

CAPTION = "A red house with a white door stands beside a tall green tree on a sunny day."
"""What the drawn picture shows."""

_SIDE, _CELL, _GAP, _LABEL, _BLOCKS = 224, 104, 4, 18, 2


def drawn_picture() -> np.ndarray:
    """A house, a tree, a fence and the sun, with even areas, edges, fine lines and texture.

    Returns:
        uint8 [224, 224, 3], always the same.
    """
    height = np.arange(_SIDE)[:, np.newaxis, np.newaxis] / _SIDE
    sky = np.array([70, 130, 220]) + height * np.array([170, 130, 40])
    picture = Image.fromarray(np.broadcast_to(sky, (_SIDE, _SIDE, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((168, 18, 204, 54), fill=(255, 225, 90))
    draw.ellipse((-80, 120, 190, 330), fill=(70, 140, 60))
    draw.ellipse((80, 136, 330, 330), fill=(95, 165, 70))
    draw.rectangle((34, 96, 124, 172), fill=(190, 50, 40))
    for y in range(100, 172, 6):  # bricks
        draw.line((34, y, 124, y), fill=(150, 35, 30))
    draw.polygon(((24, 98), (79, 52), (134, 98)), fill=(90, 60, 45))
    draw.rectangle((70, 128, 92, 172), fill=(245, 245, 240))
    for x in (44, 100):
        draw.rectangle((x, 108, x + 15, 123), fill=(170, 215, 245), outline=(250, 250, 250))
        draw.line((x + 8, 108, x + 8, 123), fill=(250, 250, 250))
    draw.rectangle((168, 120, 178, 180), fill=(100, 70, 40))
    for x, y, radius in ((173, 82, 26), (155, 100, 20), (191, 102, 21), (172, 112, 22)):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(30, 110, 45))
    for x in range(2, _SIDE, 9):  # the fence
        draw.rectangle((x, 190, x + 3, 214), fill=(235, 225, 205))
    draw.rectangle((0, 197, _SIDE, 199), fill=(235, 225, 205))
    pixels = np.asarray(picture).astype(np.int64)
    green = (pixels[..., 1] > pixels[..., 0]) & (pixels[..., 1] > pixels[..., 2])
    # Grass and leaves: whole random numbers, the same on any machine.
    grain = np.random.Generator(np.random.PCG64(0)).integers(-24, 25, (_SIDE, _SIDE))
    return np.clip(pixels + (grain * green)[..., np.newaxis], 0, 255).astype(np.uint8)


def image_sheet(image: np.ndarray) -> Image.Image:
    """The image under every kind of the benchmark, a row each, severities from left to right.

    Args:
        image: uint8 [h, w, 3].

    Returns:
        RGB; a cell has 104 pixels, so an image of 224 is seen at about half its size.
    """
    rows = -(-len(IMAGE_BENCHMARK) // _BLOCKS)
    columns = max(IMAGE_CORRUPTIONS[kind].severities for kind in IMAGE_BENCHMARK)
    block, line = columns * (_CELL + _GAP) + 2 * _GAP, _CELL + _LABEL + _GAP
    sheet = Image.new("RGB", (_BLOCKS * block, rows * line), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for index, kind in enumerate(IMAGE_BENCHMARK):
        left, top = index // rows * block + _GAP, index % rows * line
        draw.text((left, top + 1), kind, fill="black", font=font)
        for severity in range(1, IMAGE_CORRUPTIONS[kind].severities + 1):
            corrupted = corrupt_image(image, kind, severity, item_id="gallery", seed=0)
            cell = ImageOps.fit(Image.fromarray(corrupted), (_CELL, _CELL))
            sheet.paste(cell, (left + (severity - 1) * (_CELL + _GAP), top + _LABEL))
    return sheet


def caption_lines(caption: str) -> list[str]:
    """The caption, and what each text corruption makes of it at severity 5 or its highest.

    A kind that cannot run by itself, such as one that needs a language model, says so.
    """
    lines = [("clean", caption)]
    for kind, corruption in TEXT_CORRUPTIONS.items():
        severity = min(5, corruption.severities)
        try:
            text = corrupt_text(caption, kind, severity, item_id="gallery", seed=0)
        except UserError as error:
            text = f"({error})"
        lines.append((f"{kind} {severity}", text))
    width = max(len(name) for name, _ in lines)
    return [f"{name:<{width}}  {text}" for name, text in lines]


def _photo(path: str) -> np.ndarray:
    photo = ImageOps.exif_transpose(open_image(path)).convert("RGB")
    return np.asarray(ImageOps.fit(photo, (_SIDE, _SIDE), Image.Resampling.BICUBIC))


def main(argv: list[str]) -> None:
    """Writes the sheet to the file named on the command line and prints the captions."""
    if len(argv) not in (2, 3):
        raise app.UsageError("name the file to write, for example corruptions.png, and a photo")
    path = Path(argv[1])
    try:
        _check_writable(path)
        image = _photo(argv[2]) if len(argv) == 3 else drawn_picture()
    except UserError as error:
        sys.exit(f"error: {error}")
    image_sheet(image).save(path, optimize=True)
    print("\n".join(caption_lines(CAPTION)))
    print(f"wrote {path}")


def _check_writable(path: Path) -> None:
    if path.suffix.lower() not in Image.registered_extensions():
        raise UserError(f"{path}: no image format has this ending; write for example {path}.png")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; create it first")


if __name__ == "__main__":
    app.run(main)
