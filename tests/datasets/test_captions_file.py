import json

import pytest

from reex_jax.datasets.captions_file import CaptionRow, read_captions
from reex_jax.datasets.skipped import Skipped
from reex_jax.errors import UserError

EXAMPLE = '{"image": "dog.jpg", "caption": "a dog on a beach"}'
LONG = "a " * 2000
BAD_RECORDS = [
    ({"image": "red.png", "caption": ""}, "the caption is empty"),
    ({"image": "red.png", "caption": " \n"}, "the caption is empty"),
    ({"image": "red.png", "caption": 7}, "the caption is no text but 7"),
    ({"image": "red.png", "caption": None}, "the caption is no text but None"),
    ({"image": "red.png", "caption": []}, "the list of captions is empty"),
    (
        {"image": "red.png", "caption": LONG},
        "the caption has 2000 words; shorten it to 1000 at most",
    ),
    (
        {"image": "red.png", "caption": "x" * 20_000},
        "the caption has 20000 characters; shorten it to 10000 at most",
    ),
    ({"image": "red.png"}, f"no 'caption'; expected {EXAMPLE}"),
    ({"caption": "a red square"}, f"no 'image'; expected {EXAMPLE}"),
    ({}, f"no 'image' and no 'caption'; expected {EXAMPLE}"),
    (
        {"image": "red.png", "caption": "half \ud83d"},
        "the caption has half a character (a lone surrogate); write it anew",
    ),
    ({"image": 3, "caption": "x"}, "image 3 is no path"),
    (
        {"image": "C:\\data\\a.png", "caption": "x"},
        "image 'C:\\\\data\\\\a.png' lies outside the data folder; give a path relative to the "
        "folder, without '..'",
    ),
    ({"image": "a\0b", "caption": "x"}, r"image 'a\x00b' is no path"),
    (["red.png", "x"], f'expected an object such as {EXAMPLE}, found ["red.png", "x"]'),
]


def test_the_rows_of_an_image_are_numbered_through(tmp_path):
    lines = [
        '{"image": "a.png", "caption": ["one", "", "two"]}',
        "",
        '{"image": "./b//c.png", "caption": "three", "author": "me"}',
        '{"image": "x/../a.png", "caption": "four"}',
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    rows, faults = read_captions(tmp_path / "a.jsonl")
    assert rows == [
        CaptionRow("a.png", 0, "one"),
        CaptionRow("a.png", 2, "two"),
        CaptionRow("b/c.png", 0, "three"),
        CaptionRow("a.png", 3, "four"),
    ]
    assert faults == [Skipped("a.jsonl line 1, caption 2", "the caption is empty")]


@pytest.mark.parametrize(("record", "reason"), BAD_RECORDS)
def test_a_faulty_entry(tmp_path, record, reason):
    good = {"image": "a.png", "caption": "fine"}
    (tmp_path / "a.json").write_text(json.dumps([good, record]))
    rows, faults = read_captions(tmp_path / "a.json")
    assert rows == [CaptionRow("a.png", 0, "fine")]
    assert faults == [Skipped("a.json entry 2", reason)]


def test_a_line_that_is_not_json(tmp_path):
    (tmp_path / "a.jsonl").write_text('{not json\n{"image": "a.png", "caption": "fine"}\n')
    rows, faults = read_captions(tmp_path / "a.jsonl")
    assert rows == [CaptionRow("a.png", 0, "fine")]
    assert faults[0].id == "a.jsonl line 1"
    assert faults[0].reason.startswith("not JSON (Expecting property name")
    assert faults[0].reason.endswith(f"; expected {EXAMPLE}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("captions.json", b"[{]", "captions.json: not JSON (Expecting property name"),
        ("captions.json", b'{"a": 1}', 'captions.json: expected a list of {"image": "dog.jpg"'),
        ("captions.json", b'["\xff"]', "captions.json: not UTF-8 ("),
        ("captions.jsonl", b'"\xe4"\n', "captions.jsonl: not UTF-8 ("),
        (
            "captions.csv",
            b"image;caption\nred.png;x\n",
            "captions.csv: the columns are ['image;caption']; the first line must be image,caption",
        ),
        ("captions.csv", b"", "captions.csv: the columns are []; the first line must be"),
        (
            "captions.csv",
            b'image,caption\nred.png,"a "red" one"\n',
            "captions.csv: line 2 is not CSV (',' expected after '\"'); write a quote inside of "
            'quotes twice ("")',
        ),
        (
            "captions.csv",
            b'image,caption\nred.png,"never closed\n',
            "captions.csv: line 2 is not CSV (unexpected end of data)",
        ),
        ("captions.txt", b"", "captions.txt: unknown kind of captions file; use .jsonl, .json"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        read_captions(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path}/{message}")


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(UserError, match=r"a.csv: cannot be read \(No such file or directory\)"):
        read_captions(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("row", "found"), [("red.png,red, very red", 3), ("red.png", 1), ("red.png,a,b,c", 4)]
)
def test_a_row_of_a_table_with_other_columns(tmp_path, row, found):
    (tmp_path / "a.csv").write_text(f"image,caption\n{row}\nred.png,fine\n")
    rows, faults = read_captions(tmp_path / "a.csv")
    assert rows == [CaptionRow("red.png", 0, "fine")]
    assert faults == [
        Skipped(
            "a.csv line 2",
            f"{found} cells in a table of 2 columns; put captions with commas in quotes",
        )
    ]
