"""Pictures in WebDataset's shards: tar files in which files of one name belong together."""

import glob
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from reex_jax.datasets.skipped import Skipped
from reex_jax.errors import UserError
from reex_jax.index.entries import Entry, Found, read_limited, usable_caption
from reex_jax.index.folder_entries import ENDINGS

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_LONGEST_CAPTION = 100_000
_MOST_SHARDS = 1_000_000


def shards_of(pattern: str) -> list[Path]:
    """The shards that a user names: a tar file, a pattern with *, or a range {0000..0123}.

    Raises:
        UserError: none is there, or one of a range is missing.
    """
    match = _RANGE.search(pattern)
    if match is None:
        found = [Path(name) for name in sorted(glob.glob(pattern))]
    else:
        first, last = int(match[1]), int(match[2])
        if not 0 <= last - first < _MOST_SHARDS:
            raise UserError(f"{pattern}: {match[0]} is no range of shards; write {{0000..0123}}")
        names = (f"{n:0{len(match[1])}d}" for n in range(first, last + 1))
        found = [Path(pattern[: match.start()] + n + pattern[match.end() :]) for n in names]
    missing = [path for path in found if not path.is_file()]
    if missing or not found:
        raise UserError(f"{missing[0] if missing else pattern}: no such shard; check the path")
    return found


def shard_entries(shards: Sequence[Path], *, prefix: str = "", limit: int = 100_000_000) -> Found:
    """Every picture of the shards, in order; its id is its name up to the first dot.

    A sample's caption is its `.txt` file, or "caption" in its `.json` file.
    """
    for shard in shards:
        try:
            with tarfile.open(shard, "r:") as tar:
                status = shard.stat()
                stamp = f"{status.st_size}-{status.st_mtime_ns}"
                for key, members in _samples(tar):
                    yield from _sample(shard, key, members, stamp, prefix, limit)
        except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
            reason = f"no plain tar file, or damaged from here on ({error})"
            yield Skipped(str(shard), reason)


def _samples(tar: tarfile.TarFile) -> Iterator[tuple[str, dict[str, tarfile.TarInfo]]]:
    """Name of a sample -> its files by ending; neighbours in the shard."""
    name, members = "", dict[str, tarfile.TarInfo]()
    for member in tar:
        if not member.isreg() or member.issparse():
            continue
        folder, _, file = member.name.rpartition("/")
        key, _, ending = file.partition(".")
        key = f"{folder}/{key}" if folder else key
        if key != name and members:
            yield name, members
            members = {}
        name = key
        members[f".{ending.lower()}"] = member
    if members:
        yield name, members


def _sample(
    shard: Path,
    key: str,
    members: Mapping[str, tarfile.TarInfo],
    stamp: str,
    prefix: str,
    limit: int,
) -> Found:
    picture = next((members[ending] for ending in ENDINGS if ending in members), None)
    place = f"{shard.absolute()}#{key}"
    if picture is None:
        return
    try:
        key.encode()
    except UnicodeEncodeError:
        yield Skipped(place, "the name is no text")
        return
    start, size = picture.offset_data, picture.size

    def read() -> tuple[bytes, str]:
        content = read_limited(shard, start, size, limit)
        return content, _caption(shard, members)

    yield Entry(prefix + key, f"{stamp}-{start}-{size}", place, read)


def _caption(shard: Path, members: Mapping[str, tarfile.TarInfo]) -> str:
    for ending in (".txt", ".json"):
        member = members.get(ending)
        if member is None or member.size > _LONGEST_CAPTION:
            continue
        content = read_limited(shard, member.offset_data, member.size, _LONGEST_CAPTION)
        try:
            text = content.decode("utf-8-sig")
            found = json.loads(text).get("caption") if ending == ".json" else text
        except (ValueError, AttributeError, RecursionError):
            continue
        if isinstance(found, str) and usable_caption(found):
            return usable_caption(found)
    return ""
