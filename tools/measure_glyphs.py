"""Which signs look like which letter: the table `_SHAPES` of reex_jax/gsr/channel/edit_costs.py.

    python tools/measure_glyphs.py

Draws all printable ASCII signs in DejaVu Sans, Serif and Mono (free licence; matplotlib ships
them) on the same base line, blurs them, and takes the squared distance of two pictures as a share
of the brighter one's energy. For each letter, small or capital, the ten nearest signs.
"""

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONTS = ("DejaVuSans.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf")
SIGNS = [chr(code) for code in range(33, 127)]
POINTS, WIDTH, HEIGHT, TOP, BLUR, NEAREST = 40, 48, 64, 8, 2.0, 10


def pictures(font: ImageFont.FreeTypeFont) -> np.ndarray:
    """[94, pixels] float64: each sign, centred, blurred."""
    rows = []
    for sign in SIGNS:
        picture = Image.new("L", (WIDTH, HEIGHT), 0)
        draw = ImageDraw.Draw(picture)
        left, _, right, _ = draw.textbbox((0, 0), sign, font=font)
        draw.text((WIDTH / 2 - (left + right) / 2, TOP), sign, font=font, fill=255)
        blurred = picture.filter(ImageFilter.GaussianBlur(BLUR))
        rows.append(np.asarray(blurred, np.float64).ravel())
    return np.array(rows)


def distances() -> np.ndarray:
    """[94, 94] mean over the fonts, 0 for equal shapes."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    total = np.zeros((len(SIGNS), len(SIGNS)))
    for name in FONTS:
        rows = pictures(ImageFont.truetype(str(folder / name), POINTS))
        energy = (rows**2).sum(axis=1)
        squares = energy[:, None] + energy - 2 * rows @ rows.T
        total += squares / np.maximum(energy[:, None], energy)
    return total / len(FONTS)


def look_alikes() -> dict[str, str]:
    """Letter -> the signs most like it, best first."""
    apart = distances()
    place = {sign: at for at, sign in enumerate(SIGNS)}
    table = {}
    for letter in "abcdefghijklmnopqrstuvwxyz":
        both = np.minimum(apart[place[letter]], apart[place[letter.upper()]])
        others = [sign for sign in SIGNS if sign.lower() != letter]
        others.sort(key=lambda sign: both[place[sign]])
        table[letter] = "".join(others[:NEAREST])
    return table


if __name__ == "__main__":
    for letter, signs in look_alikes().items():
        print(f"{letter!r}: {signs!r},")
