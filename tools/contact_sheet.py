"""A sheet of scenes with captions, to see what the benchmark asks.

python -m tools.contact_sheet docs/scenes.png
"""

import textwrap
from pathlib import Path

from absl import app
from PIL import Image, ImageDraw, ImageFont

from reex_jax.datasets import scenes

_COLUMNS, _ROWS, _CELL, _TEXT = 4, 3, 192, 104


def contact_sheet(seed: int = 0) -> Image.Image:
    """Twelve test scenes, three times enlarged, each with its first two captions: RGB."""
    font = ImageFont.load_default(size=11)
    sheet = Image.new("RGB", (_COLUMNS * (_CELL + 12) + 12, _ROWS * (_CELL + _TEXT) + 12), "white")
    draw = ImageDraw.Draw(sheet)
    for index in range(_COLUMNS * _ROWS):
        left = 12 + index % _COLUMNS * (_CELL + 12)
        top = 12 + index // _COLUMNS * (_CELL + _TEXT)
        picture = Image.fromarray(scenes.image("test", seed, index))
        sheet.paste(picture.resize((_CELL, _CELL), Image.Resampling.NEAREST), (left, top))
        y = top + _CELL + 4
        for caption in scenes.caption_set("test", seed, index, count=2):
            text = textwrap.fill(caption, 33, max_lines=3, placeholder=" ...")
            draw.multiline_text((left, y), text, fill="black", font=font, spacing=2)
            y += 14 * (text.count("\n") + 1) + 6
    return sheet


def main(argv: list[str]) -> None:
    """Writes the sheet to the file named on the command line."""
    if len(argv) != 2:
        raise app.UsageError("name the file to write, for example docs/scenes.png")
    contact_sheet().save(Path(argv[1]), optimize=True)
    print(f"wrote {argv[1]}")


if __name__ == "__main__":
    app.run(main)
