"""Captions of a user's own images, from a JSONL, JSON or CSV file."""

import csv
import json
import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reex_jax.datasets.skipped import Skipped
from reex_jax.errors import UserError
from reex_jax.files import refuse_pointer

CAPTIONS_FILES = ("captions.jsonl", "captions.json", "captions.csv")
MAX_CHARACTERS = 10_000
MAX_WORDS = 1000
"""A longer caption is taken for a mistake, such as a quote that never ends; CLIP reads about 60."""
_DRIVE = re.compile(r"[A-Za-z]:/")

_EXAMPLE = '{"image": "dog.jpg", "caption": "a dog on a beach"}'


@dataclass(frozen=True)
class CaptionRow:
    """One caption as the file gives it.

    Attributes:
        image: the owning image's path in the data folder, normalised, with slashes.
        number: which of the image's captions it is, from 0; faulty ones count.
        caption: its text.
    """

    image: str
    number: int
    caption: str


def read_captions(path: Path) -> tuple[list[CaptionRow], list[Skipped]]:
    """Reads a captions file; the order of the file is kept.

    Args:
        path: `.jsonl` with an object {"image": path, "caption": text or [text, ...]} a line,
            `.json` with a list of such objects, or `.csv` with the columns image and caption;
            an image may have several rows. The encoding is UTF-8.

    Returns:
        The usable captions, and the faulty rows with their place in the file.

    Raises:
        UserError: the file as a whole cannot be read.
    """
    readers = {".jsonl": _read_jsonl, ".json": _read_json, ".csv": _read_csv}
    if path.suffix.lower() not in readers:
        raise UserError(f"{path}: unknown kind of captions file; use {', '.join(readers)}")
    refuse_pointer(path)
    rows: list[CaptionRow] = []
    faults: list[Skipped] = []
    numbers: dict[str, int] = {}
    try:
        for place, record in readers[path.suffix.lower()](path):
            try:
                image, captions = _check_record(record)
            except UserError as error:
                faults.append(Skipped(place, str(error)))
                continue
            for position, caption in enumerate(captions, 1):
                number = numbers.setdefault(image, 0)
                numbers[image] += 1
                fault = caption_fault(caption)
                if fault is None:
                    rows.append(CaptionRow(image, number, caption))
                else:
                    within = f", caption {position}" if len(captions) > 1 else ""
                    faults.append(Skipped(place + within, fault))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save the file as UTF-8") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return rows, faults


def _check_record(record: object) -> tuple[str, list]:
    """The image's normalised path and its captions, not yet checked."""
    if isinstance(record, UserError):
        raise record
    if not isinstance(record, dict):
        raise UserError(f"expected an object such as {_EXAMPLE}, found {brief(record)}")
    missing = [key for key in ("image", "caption") if key not in record]
    if missing:
        raise UserError(f"no {' and no '.join(map(repr, missing))}; expected {_EXAMPLE}")
    captions = record["caption"]
    captions = captions if isinstance(captions, list) else [captions]
    if not captions:
        raise UserError("the list of captions is empty")
    return path_inside(record["image"]), captions


def path_inside(image: object) -> str:
    """The path of an image in the data folder, normalised; symbolic links are followed.

    Back slashes, as Windows writes them, become slashes.

    Raises:
        UserError: not a path, or one that leads out of the folder.
    """
    if not isinstance(image, str) or not image.strip() or "\0" in image or not _encodes(image):
        raise UserError(f"image {brief(image, repr)} is no path")
    normal = posixpath.normpath(image.replace("\\", "/"))
    if (
        posixpath.isabs(normal)
        or _DRIVE.match(normal)
        or normal in (".", "..")
        or normal.startswith("../")
    ):
        raise UserError(
            f"image {image!r} lies outside the data folder; give a path relative to the folder, "
            "without '..'"
        )
    return normal


def brief(value: object, write: Callable[[object], str] = json.dumps) -> str:
    """The start of a value from a JSON file, for messages."""
    try:
        return write(value)[:60]
    except RecursionError:
        return "something nested too deep"


def caption_fault(caption: object) -> str | None:
    """What is wrong with a caption; None if it can be used."""
    if not isinstance(caption, str):
        return f"the caption is no text but {brief(caption, repr)}"
    if not _encodes(caption):
        return "the caption has half a character (a lone surrogate); write it anew"
    if len(caption) > MAX_CHARACTERS:
        return f"the caption has {len(caption)} characters; shorten it to {MAX_CHARACTERS} at most"
    words = len(caption.split())
    if not words:
        return "the caption is empty"
    if words > MAX_WORDS:
        return f"the caption has {words} words; shorten it to {MAX_WORDS} at most"
    return None


def _encodes(text: str) -> bool:
    """Whether the text is valid Unicode: JSON can escape halves of characters, such as \\ud800."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_jsonl(path: Path) -> Iterator[tuple[str, object]]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield f"{path.name} line {number}", _parsed(line)


def _parsed(line: str) -> object:
    """The value of one line of JSON, or the UserError it deserves."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return UserError(f"not JSON ({error}); expected {_EXAMPLE}")


def _read_json(path: Path) -> Iterator[tuple[str, object]]:
    text = path.read_text(encoding="utf-8-sig")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); expected a list of {_EXAMPLE}") from error
    if isinstance(content, dict) and "images" in content:
        raise UserError(
            f"{path}: in the layout of COCO or of Karpathy's splits; read it with "
            f"data.name=karpathy and data.captions_file={path.name}"
        )
    if not isinstance(content, list):
        raise UserError(f"{path}: expected a list of {_EXAMPLE}, found {brief(content)}")
    for number, record in enumerate(content, 1):
        yield f"{path.name} entry {number}", record


def _read_csv(path: Path) -> Iterator[tuple[str, object]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        table = csv.DictReader(lines, strict=True)
        try:
            columns = list(table.fieldnames or ())
            if not {"image", "caption"} <= set(columns):
                raise UserError(
                    f"{path}: the columns are {columns}; the first line must be image,caption"
                )
            for row in table:
                yield f"{path.name} line {table.line_num}", _full_row(row, columns)
        except csv.Error as error:
            raise UserError(
                f"{path}: line {table.reader.line_num} is not CSV ({error}); "
                'write a quote inside of quotes twice ("")'
            ) from error


def _full_row(row: dict, columns: list[str]) -> object:
    """The row, or the UserError it deserves: a comma too many would cut its caption short."""
    cells = sum(value is not None for key, value in row.items() if key is not None)
    cells += len(row.get(None, ()))
    if cells == len(columns):
        return row
    return UserError(
        f"{cells} cells in a table of {len(columns)} columns; put captions with commas in quotes"
    )
