"""Writes a tiny data set in the layout of COCO or Flickr30K, drawn from scenes.

    python tests/data/make_karpathy.py FOLDER [coco | flickr30k]

Twenty test images and three others, with odd widths and heights, half of them PNG, half JPEG; five
captions each, one image with seven. Both JSON shapes are written. `make_released` adds corrupted
queries in the layout in which COCO-C and Flickr-C were published.
"""

import json
import sys
from pathlib import Path

from PIL import Image, ImageOps

from reex_jax.datasets.scenes import caption_set, image

NUM_TEST = 20
NUM_OTHER = 3  # of the split "val"
LAYOUTS = {
    "coco": ("val2014", "COCO_val2014_{:012d}", "dataset_coco.json", "coco_karpathy_test.json"),
    "flickr30k": ("", "{:09d}", "dataset_flickr30k.json", "flickr30k_test.json"),
}
IMAGE_FOLDERS = {"coco": "val2014", "flickr30k": "flickr30k-images"}


def picture(index: int) -> Image.Image:
    """A scene, cut to odd sides between 61 and 99 pixels."""
    width, height = 61 + 2 * (7 * index % 20), 61 + 2 * (11 * index % 20)
    square = Image.fromarray(image("test", 0, index, size=max(width, height)))
    left, top = (square.width - width) // 2, (square.height - height) // 2
    return square.crop((left, top, left + width, top + height))


def captions_of(index: int) -> list[str]:
    """Five captions, seven of image 3."""
    return caption_set("test", 0, index, count=7 if index == 3 else 5)


def make_karpathy(root: Path, preset: str = "coco", count: int = NUM_TEST) -> Path:
    """Writes the data set and returns its folder."""
    filepath, pattern, original, listed = LAYOUTS[preset]
    folder = root / IMAGE_FOLDERS[preset]
    folder.mkdir(parents=True, exist_ok=True)
    images, rows = [], []
    for index in range(count + NUM_OTHER):
        name = pattern.format(1000 + 7 * index) + (".png" if index % 2 else ".jpg")
        picture(index).save(folder / name, quality=95)
        split = "test" if index < count else "val"
        sentences = [{"raw": text, "tokens": text.split()} for text in captions_of(index)]
        record = {"filename": name, "split": split, "imgid": index, "sentences": sentences}
        images.append(record | ({"filepath": filepath} if filepath else {}))
        if split == "test":
            rows.append({"image": f"{folder.name}/{name}", "caption": captions_of(index)})
    (root / original).write_text(json.dumps({"images": images, "dataset": preset}))
    (root / listed).write_text(json.dumps(rows))
    return root


def make_released(root: Path, preset: str = "coco", count: int = NUM_TEST) -> Path:
    """Writes fog 5 (here: negatives) and OCR 7 (here: capitals) of `make_karpathy`'s set."""
    _, pattern, _, listed = LAYOUTS[preset]
    prefix = {"coco": "COCO", "flickr30k": "Flickr30K"}[preset]
    folder = root / f"{prefix}_IP_fog_5" / ("val2014" if preset == "coco" else "")
    captions = root / "annotation_OcrAug" / "7"
    folder.mkdir(parents=True)
    captions.mkdir(parents=True)
    rows = []
    for index in range(count):
        name = pattern.format(1000 + 7 * index)
        ImageOps.invert(picture(index)).save(folder / f"{name}.jpg")
        # nlpaug 1.1.11 returns lists of one text, and only five captions were corrupted.
        texts = [
            [text.upper()] if place < 5 else text for place, text in enumerate(captions_of(index))
        ]
        suffix = ".png" if index % 2 else ".jpg"
        rows.append({"image": f"{IMAGE_FOLDERS[preset]}/{name}{suffix}", "caption": texts})
    (captions / listed).write_text(json.dumps(rows))
    return root


if __name__ == "__main__":
    print(make_karpathy(Path(sys.argv[1]), *sys.argv[2:3]))
