"""What an index is made from: entries, each of which reads its item when its turn comes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from reex_jax.datasets.captions_file import MAX_CHARACTERS, caption_fault, read_captions
from reex_jax.datasets.skipped import Skipped
from reex_jax.errors import UserError
from reex_jax.files import home


@dataclass(frozen=True, eq=False)
class Entry:
    """One item that can be read.

    Attributes:
        id: not unique yet.
        stamp: another one means another item.
        place: where it is, for people.
        read: the bytes of the picture's file (empty for a text) and its caption, "" for none; may
            be called in any thread. Raises UserError or OSError.
    """

    id: str
    stamp: str
    place: str
    read: Callable[[], tuple[bytes, str]]


Found: TypeAlias = Iterator[Entry | Skipped]
"""Entries, and what cannot be one."""


def usable_caption(text: str) -> str:
    """A caption as an index holds it; "" for what is none."""
    text = " ".join(text.split())[:MAX_CHARACTERS]
    return "" if caption_fault(text) else text


def read_limited(path: Path, start: int, size: int, limit: int) -> bytes:
    """Some bytes of a file.

    Raises:
        UserError: more than `limit`, or the file ends before them.
        OSError: the file cannot be read.
    """
    if size > limit:
        raise UserError(f"{size} bytes are more than build.max_megabytes={limit // 1_000_000}")
    with path.open("rb") as file:
        file.seek(start)
        content = file.read(size)
    if len(content) < size:
        raise UserError(f"cut off: {len(content)} of {size} bytes are there")
    return content


def text_entries(file: str | Path, prefix: str = "") -> Found:
    """The texts of a file, in its order.

    Args:
        file: `.txt` with one a line, whose ids are the numbers of the lines from 0, or a captions
            file (see `read_captions`), whose ids are those of the images with #0, #1 and so on.
        prefix: of the ids.

    Raises:
        UserError: the file as a whole cannot be read.
    """
    path = home(file)
    if path.suffix.lower() == ".txt":
        yield from _lines(path, prefix)
        return
    rows, faults = read_captions(path)
    yield from faults
    for row in rows:
        name = f"{prefix}{row.image}#{row.number}"
        yield Entry(name, row.caption, str(path), _text(row.caption))


def _lines(path: Path, prefix: str) -> Found:
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save the file as UTF-8") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        fault = caption_fault(line)
        if fault:
            yield Skipped(f"{path.name} line {number + 1}", fault)
        else:
            yield Entry(f"{prefix}{number}", line.strip(), str(path), _text(line.strip()))


def _text(text: str) -> Callable[[], tuple[bytes, str]]:
    return lambda: (b"", text)
