import csv
import json
import logging
import struct
import unicodedata
import zlib

import numpy as np
import pytest
from PIL import Image

from reex_jax import progress
from reex_jax.datasets import image_files
from reex_jax.datasets.folder import load_folder
from reex_jax.datasets.skipped import Skipped
from reex_jax.errors import UserError

COLOURS = {"red.png": (255, 0, 0), "sub/green.jpg": (0, 255, 0), "blau ü.bmp": (0, 0, 255)}
RECORDS = [
    {"image": "sub/green.jpg", "caption": ["a green square", "nothing but green"]},
    {"image": "red.png", "caption": "a red square, very red"},
    {"image": "blau ü.bmp", "caption": ["ein blaues Quadrat", "blau"]},
    {"image": "./sub//green.jpg", "caption": 'they call it "green"'},
]
IMAGE_IDS = ("sub/green.jpg", "red.png", "blau ü.bmp")
CAPTION_IDS = (
    "sub/green.jpg#0",
    "sub/green.jpg#1",
    "red.png#0",
    "blau ü.bmp#0",
    "blau ü.bmp#1",
    "sub/green.jpg#2",
)
REMEDY = "mend or remove these, or set data.on_error=skip to leave them out"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "my data"
    for name, colour in COLOURS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 12), colour).save(folder / name)
    return folder


def write_jsonl(folder, records, name="captions.jsonl"):
    lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_json(folder, records):
    (folder / "captions.json").write_text(json.dumps(records), encoding="utf-8")


def write_csv(folder, records):
    # As spreadsheets write it: a byte-order mark, a column more, quotes where needed.
    with (folder / "captions.csv").open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(["caption", "image", "author"])
        for record in records:
            captions = record["caption"]
            for caption in [captions] if isinstance(captions, str) else captions:
                table.writerow([caption, record["image"], "me"])


@pytest.mark.parametrize("write", [write_jsonl, write_json, write_csv])
def test_every_format_gives_the_same_set(root, write):
    write(root, RECORDS)
    loaded = load_folder(root)
    data = loaded.data
    assert loaded.skipped == ()
    assert data.name == "my data"
    assert data.image_ids == IMAGE_IDS
    assert data.caption_ids == CAPTION_IDS
    assert data.captions[2] == "a red square, very red"
    assert data.captions[5] == 'they call it "green"'
    assert data.caption_image.tolist() == [0, 0, 1, 2, 2, 0]
    for image_id, image in zip(data.image_ids, [data.images[i] for i in range(3)], strict=True):
        pixel = image.convert("RGB").getpixel((5, 5))
        np.testing.assert_allclose(pixel, COLOURS[image_id], atol=2)


def test_a_named_captions_file_counts(root, tmp_path):
    write_jsonl(root, RECORDS)
    write_jsonl(root, RECORDS[:1], "few.JSONL")
    assert load_folder(root, "few.JSONL").data.image_ids == ("sub/green.jpg",)
    write_jsonl(tmp_path, RECORDS[1:2], "elsewhere.jsonl")
    assert load_folder(root, tmp_path / "elsewhere.jsonl").data.image_ids == ("red.png",)


def test_images_are_read_on_access(root):
    write_jsonl(root, RECORDS)
    data = load_folder(root).data
    (root / "red.png").unlink()
    assert data.images[0].size == (16, 12)
    with pytest.raises(UserError, match=r"red\.png: no such image file"):
        data.images[1]


def bomb(side):
    """A PNG whose header promises side x side pixels, and that has none."""

    def chunk(kind, content):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


def break_image(root, fault):
    """Spoils red.png and returns what the message must say."""
    path = root / "red.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    match fault:
        case "missing":
            path.unlink()
            return "no such image file"
        case "empty":
            path.write_bytes(b"")
            return "the file is empty (0 bytes)"
        case "text":
            path.write_text("<html>404</html>")
            return "not an image"
        case "truncated":
            Image.fromarray(noise).save(path)
            path.write_bytes(path.read_bytes()[:5000])
            return "damaged or cut off"
        case "corrupt":
            Image.fromarray(noise).save(path)
            content = bytearray(path.read_bytes())
            content[2000:2200] = bytes(200)
            path.write_bytes(content)
            return "damaged or cut off"
        case "dot":
            Image.new("RGB", (1, 1)).save(path)
            return "1x1 pixels"
        case "bomb":
            path.write_bytes(bomb(60_000))
            return "make the image smaller"
        case "folder":
            path.unlink()
            path.mkdir()
            return "not a file"
    raise AssertionError(fault)


FAULTS = ["missing", "empty", "text", "truncated", "corrupt", "dot", "bomb", "folder"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_image_refuses_the_folder(root, fault):
    reason = break_image(root, fault)
    write_jsonl(root, RECORDS)
    with pytest.raises(UserError) as error:
        load_folder(root)
    message = str(error.value)
    assert message.startswith(f"{root}: 1 faulty item:\n  red.png: {root / 'red.png'}: ")
    assert reason in message
    assert message.endswith("\n" + REMEDY)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_image_is_left_out_with_its_captions(root, fault, caplog):
    reason = break_image(root, fault)
    write_jsonl(root, RECORDS)
    with caplog.at_level(logging.WARNING):
        loaded = load_folder(root, on_error="skip")
    assert [skipped.id for skipped in loaded.skipped] == ["red.png"]
    assert reason in loaded.skipped[0].reason
    assert loaded.data.image_ids == ("sub/green.jpg", "blau ü.bmp")
    assert loaded.data.caption_ids == tuple(i for i in CAPTION_IDS if i != "red.png#0")
    assert loaded.data.caption_image.tolist() == [0, 0, 1, 1, 0]
    assert len(caplog.records) == 1
    assert caplog.messages[0].startswith(f"{root}: left out 1 faulty item:\n  red.png: ")


@pytest.mark.parametrize("image", ["../x.png", "sub/../../x.png", "/etc/passwd", "..", "."])
def test_paths_outside_of_the_folder_are_refused(root, image):
    Image.new("RGB", (8, 8)).save(root.parent / "x.png")
    write_jsonl(root, [RECORDS[0], {"image": image, "caption": "a secret"}])
    with pytest.raises(UserError) as error:
        load_folder(root)
    assert str(error.value) == (
        f"{root / 'captions.jsonl'}: 1 faulty item:\n"
        f"  captions.jsonl line 2: image {image!r} lies outside the data folder; give a path "
        f"relative to the folder, without '..'\n{REMEDY}"
    )


def test_bad_rows_are_left_out_and_the_others_keep_their_ids(root, caplog):
    records = [
        {"image": "sub/green.jpg", "caption": ["", "nothing but green"]},
        *[{"image": "red.png", "caption": ""}] * 12,
        {"image": "red.png", "caption": "a red square"},
        {"image": "sub/green.jpg", "caption": "green again"},
        {"image": "blau ü.bmp", "caption": None},
    ]
    write_jsonl(root, records)
    with caplog.at_level(logging.WARNING):
        loaded = load_folder(root, on_error="skip")
    data = loaded.data
    assert data.image_ids == ("sub/green.jpg", "red.png")
    assert data.captions == ("nothing but green", "a red square", "green again")
    assert data.caption_ids == ("sub/green.jpg#1", "red.png#12", "sub/green.jpg#2")
    assert data.caption_image.tolist() == [0, 1, 0]
    assert loaded.skipped[0] == Skipped("captions.jsonl line 1, caption 1", "the caption is empty")
    assert len(loaded.skipped) == 14
    assert len(caplog.records) == 1
    assert caplog.messages[0].startswith(f"{root}: left out 14 faulty items:\n  captions.jsonl")
    assert caplog.messages[0].endswith("\n  and 4 more")
    assert caplog.messages[0].count("\n") == 11


def test_nothing_left(root):
    write_jsonl(root, [{"image": "gone.png", "caption": "x"}, {"image": "red.png", "caption": ""}])
    with pytest.raises(UserError) as error:
        load_folder(root, on_error="skip")
    assert str(error.value) == (
        f"{root / 'captions.jsonl'}: no usable image with a caption (2 faulty items; "
        "captions.jsonl line 2: the caption is empty)"
    )
    write_jsonl(root, [])
    with pytest.raises(UserError, match=r"no usable image with a caption \(0 faulty items\)"):
        load_folder(root)


def test_no_folder_and_no_or_several_captions_files(root):
    with pytest.raises(UserError) as error:
        load_folder(root / "nowhere")
    assert str(error.value) == f"{root / 'nowhere'}: no such folder; check the path of the data"
    with pytest.raises(UserError) as error:
        load_folder(root)
    assert str(error.value) == (
        f"{root}: no captions found; looked for captions.jsonl, captions.json, captions.csv; "
        "write one of them, or name another file with captions_file"
    )
    with pytest.raises(UserError, match=r"more.csv: cannot be read \(No such file or directory\)"):
        load_folder(root, "more.csv")
    write_jsonl(root, RECORDS)
    write_json(root, RECORDS)
    with pytest.raises(UserError) as error:
        load_folder(root)
    assert str(error.value) == (
        f"{root}: has captions.jsonl, captions.json; say with captions_file which one counts"
    )


def test_unknown_on_error(root):
    with pytest.raises(UserError) as error:
        load_folder(root, on_error="skp")
    assert str(error.value) == (
        "unknown data.on_error 'skp'; did you mean 'skip'? allowed: raise, skip"
    )


def test_a_path_too_long_for_the_system_is_a_fault(root):
    write_jsonl(root, [RECORDS[0], {"image": "x" * 5000, "caption": "x"}])
    loaded = load_folder(root, on_error="skip")
    assert loaded.data.image_ids == ("sub/green.jpg",)
    assert "File name too long" in loaded.skipped[0].reason


def test_large_folders_show_progress(root, monkeypatch, capsys):
    monkeypatch.setattr(image_files, "_PROGRESS_FROM", 2)
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    write_jsonl(root, RECORDS)
    load_folder(root)
    assert "checking images: 3 of 3" in capsys.readouterr().err


def test_names_written_in_another_way(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root.parent))
    other_form = unicodedata.normalize("NFD", "blau ü.bmp")
    write_jsonl(root, [{"image": name, "caption": "x"} for name in ("sub\\green.jpg", other_form)])
    data = load_folder("~/my data").data
    assert data.image_ids == ("sub/green.jpg", other_form)
    assert data.images[1].size == (16, 12)
    write_jsonl(root, [{"image": "RED.PNG", "caption": "x"}, {"image": "red.jpg", "caption": "x"}])
    with pytest.raises(UserError) as error:
        load_folder(root)
    assert (
        str(error.value).count("no such image file; check the path; the folder has 'red.png'") == 2
    )


@pytest.mark.parametrize("image", ["..\\x.png", "C:\\x.png", "\\\\host\\x.png", "c:/x.png"])
def test_paths_of_windows_outside_of_the_folder(root, image):
    write_jsonl(root, [{"image": image, "caption": "x"}])
    with pytest.raises(UserError, match="lies outside the data folder"):
        load_folder(root)


def test_pointers_of_git_lfs_are_named(root):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n"
    (root / "red.png").write_text(pointer)
    write_jsonl(root, RECORDS)
    with pytest.raises(UserError, match=r"red\.png: a pointer of Git LFS"):
        load_folder(root)
    (root / "captions.jsonl").write_text(pointer)
    with pytest.raises(UserError, match=r"captions\.jsonl: a pointer of Git LFS"):
        load_folder(root)


def test_names_are_printed_without_control_characters(root, caplog):
    write_jsonl(root, [RECORDS[0], {"image": "\x1b[2J\n\u202egnp.exe", "caption": "x"}])
    with pytest.raises(UserError) as error:
        load_folder(root)
    assert r"  \x1b[2J\n\u202egnp.exe: " in str(error.value)
    load_folder(root, on_error="skip")
    assert r"\x1b[2J\n\u202egnp.exe: " in caplog.text and "\x1b" not in caplog.text


def test_cocos_layout_is_told_how_to_be_read(root):
    (root / "captions.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(UserError, match=r"read it with data\.name=karpathy and data\.captions_fi"):
        load_folder(root)


def test_a_strip_fails_at_once_and_not_in_the_middle_of_a_run(root):
    Image.new("RGB", (2, 2010)).save(root / "red.png")
    write_jsonl(root, RECORDS)
    with pytest.raises(UserError, match="2x2010 pixels are a strip more than 1000 times as long"):
        load_folder(root)
