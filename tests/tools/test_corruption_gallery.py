import hashlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageOps

from reex_jax.corruptions.image.kinds import IMAGE_BENCHMARK, corrupt_image
from reex_jax.corruptions.text.kinds import TEXT_CORRUPTIONS, corrupt_text
from reex_jax.errors import UserError
from tools import corruption_gallery as gallery


@pytest.fixture(scope="module")
def image():
    return gallery.drawn_picture()


def test_the_picture_is_one_and_the_same(image):
    assert image.shape == (224, 224, 3)
    np.testing.assert_array_equal(image, gallery.drawn_picture())
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 200


def test_the_sheet_shows_every_kind_at_every_severity(image):
    sheet = gallery.image_sheet(image)
    found = set()
    pixels = np.asarray(sheet)
    for index, kind in enumerate(IMAGE_BENCHMARK):
        top, left = index % 8 * 126 + 18, index // 8 * 548 + 4
        for severity in range(1, 6):
            expected = corrupt_image(image, kind, severity, item_id="gallery", seed=0)
            expected = np.asarray(ImageOps.fit(Image.fromarray(expected), (104, 104)))
            x = left + 108 * (severity - 1)
            np.testing.assert_array_equal(pixels[top : top + 104, x : x + 104], expected)
            found.add(hashlib.sha256(expected.tobytes()).hexdigest())
    assert len(found) == 16 * 5


def test_every_text_corruption_has_its_line():
    lines = gallery.caption_lines(gallery.CAPTION)
    assert len(lines) == 1 + len(TEXT_CORRUPTIONS)
    assert lines[0].split(maxsplit=1) == ["clean", gallery.CAPTION]
    for line, (kind, corruption) in zip(lines[1:], TEXT_CORRUPTIONS.items(), strict=True):
        name, severity, text = line.split(maxsplit=2)
        assert (name, int(severity)) == (kind, min(5, corruption.severities))
        assert text


def test_a_kind_that_cannot_run_alone_says_so(monkeypatch):
    def needs_more(caption, kind, severity, **key):
        if kind == "swap":
            raise UserError("swap needs a rewriter")
        return corrupt_text(caption, kind, severity, **key)

    monkeypatch.setattr(gallery, "corrupt_text", needs_more)
    lines = gallery.caption_lines("a small dog and a big cat")
    assert any(line.endswith("  (swap needs a rewriter)") for line in lines)
    assert len(lines) == 1 + len(TEXT_CORRUPTIONS)


def test_the_command_writes_and_prints(tmp_path):
    photo, out = tmp_path / "photo.jpg", tmp_path / "out.png"
    Image.new("RGB", (300, 260), (200, 30, 30)).save(photo)
    done = subprocess.run(
        [sys.executable, "-m", "tools.corruption_gallery", str(out), str(photo)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("clean ")
    assert done.stdout.endswith(f"wrote {out}\n")
    with Image.open(out) as sheet:
        assert sheet.size == (1096, 1008)
        colour = np.asarray(sheet)[18:122, 4:108].mean(axis=(0, 1))
    np.testing.assert_allclose(colour, (200, 30, 30), atol=3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sheet.txt", "sheet.txt: no image format has this ending; write for example"),
        ("nowhere/sheet.png", "there is no folder"),
    ],
)
def test_files_that_cannot_be_written(tmp_path, name, message):
    with pytest.raises(SystemExit) as end:
        gallery.main(["gallery", str(tmp_path / name)])
    assert str(end.value).startswith("error: ")
    assert message in str(end.value)


def test_a_photo_that_is_missing(tmp_path):
    with pytest.raises(SystemExit, match="no such image file"):
        gallery.main(["gallery", str(tmp_path / "a.png"), str(tmp_path / "photo.jpg")])
