"""The pictures of a folder and of those below it."""

import os
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from reex_jax.datasets.captions_file import read_captions
from reex_jax.datasets.skipped import Skipped
from reex_jax.errors import UserError
from reex_jax.files import home
from reex_jax.index.entries import Entry, Found, read_limited, usable_caption

ENDINGS = (
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".jp2"),
)
"""What counts as a picture; other files are passed over."""
_LONGEST_CAPTION = 100_000


def folder_entries(
    root: Path, *, captions: str | Path = "", prefix: str = "", limit: int = 100_000_000
) -> Found:
    """Every picture, by path; its id is the path in the folder, with slashes.

    Symbolic links to files inside of the folder are followed, others and links to folders are not.

    Args:
        root: the folder.
        captions: a captions file (see `read_captions`), of which each picture's first caption
            counts. "": a picture's caption is the text file of the same name beside it, if any.
        prefix: of the ids.
        limit: bytes of a picture's file.

    Raises:
        UserError: a captions file that cannot be read.
    """
    listed: dict[str, str] | None = None
    if captions:
        rows, faults = read_captions(home(captions))
        yield from faults
        listed = {}
        for row in rows:
            listed.setdefault(row.image, row.caption)
    inside = root.resolve()
    for path, siblings in _files(root):
        if isinstance(path, Skipped):
            yield path
        elif path.suffix.lower() in ENDINGS:
            yield _entry(path, siblings, root, inside, listed, prefix, limit)


def _files(root: Path) -> Iterator[tuple[Path | Skipped, frozenset[str]]]:
    """Every file with the names beside it, and what cannot be looked into."""
    denied: list[OSError] = []
    for folder, below, names in os.walk(root, onerror=denied.append):
        for error in denied:
            yield Skipped(str(error.filename), f"cannot be read ({error.strerror})"), frozenset()
        denied.clear()
        below.sort()
        for name in list(below):
            if os.path.islink(os.path.join(folder, name)):
                below.remove(name)
                reason = "a symbolic link to a folder, which is not followed"
                yield Skipped(os.path.join(folder, name), reason), frozenset()
        siblings = frozenset(names)
        for name in sorted(names):
            yield Path(folder, name), siblings
    for error in denied:
        yield Skipped(str(error.filename), f"cannot be read ({error.strerror})"), frozenset()


def _entry(
    path: Path,
    siblings: frozenset[str],
    root: Path,
    inside: Path,
    listed: Mapping[str, str] | None,
    prefix: str,
    limit: int,
) -> Entry | Skipped:
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
        real = path.resolve(strict=True)
        status = real.stat()
    except UnicodeEncodeError:
        return Skipped(name, "the file's name is no text; rename it")
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        return Skipped(name, f"cannot be read ({getattr(error, 'strerror', None) or error})")
    if not real.is_relative_to(inside):
        return Skipped(name, "a symbolic link that leaves the folder, which is not followed")
    if not stat.S_ISREG(status.st_mode):
        return Skipped(name, "no file, but a device, a pipe or a folder")
    stamp = f"{status.st_size}-{status.st_mtime_ns}"
    caption: Callable[[], str] = str
    if listed is not None:
        text = usable_caption(listed.get(name, ""))
        stamp += f"-{zlib.crc32(text.encode()):08x}" if text else ""
        caption = lambda: text  # noqa: E731
    elif f"{path.stem}.txt" in siblings:
        beside = path.with_suffix(".txt")
        stamp += _stamp(beside)
        caption = lambda: _caption(beside)  # noqa: E731

    def read() -> tuple[bytes, str]:
        size = path.stat().st_size
        if not size:
            raise UserError("the file is empty (0 bytes); fetch it anew or remove it")
        return read_limited(path, 0, size, limit), caption()

    return Entry(prefix + name, stamp, str(path.absolute()), read)


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"-{status.st_size}-{status.st_mtime_ns}"


def _caption(path: Path) -> str:
    """The text of a file beside a picture; "" where it is none."""
    try:
        if not path.is_file() or path.is_symlink():
            return ""
        with path.open("rb") as file:
            return usable_caption(file.read(_LONGEST_CAPTION).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return ""
