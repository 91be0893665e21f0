"""The repair cache: a folder of Parquet files, one row for each (text, rewriter identity).

Files are only ever added, under names that no other machine uses, so that caches are merged by
copying files, and readers (pandas, DuckDB, this code) never see half of one. A pair may stand in
several files, when two passes asked at once: the earliest answer counts.
"""

import os
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rapidfuzz.distance import OSA

from reex_jax.errors import UserError
from reex_jax.gsr.journal import CacheRow, Journal, orphaned_rows
from reex_jax.gsr.repair import Repair

SCHEMA = pa.schema(
    [
        pa.field("text", pa.string(), nullable=False),
        pa.field("identity", pa.string(), nullable=False),
        pa.field("refined", pa.string(), nullable=False),  # the repair; caches keep that name
        pa.field("generation_confidence", pa.float64()),
        pa.field("edit_confidence", pa.float64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("prompt_tokens", pa.int64(), nullable=False),
        pa.field("reply_tokens", pa.int64(), nullable=False),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


def cache_row(repair: Repair, identity: str) -> CacheRow:
    """A row as JSON has it: `SCHEMA`'s columns, the time in microseconds since 1970.

    edit_confidence is 1 minus the normalised character edit distance.
    """
    row = asdict(repair)
    row["refined"], row["generation_confidence"] = row.pop("repaired"), row.pop("generation")
    return row | {
        "identity": identity,
        "edit_confidence": OSA.normalized_similarity(repair.text, repair.repaired),
        "time": time.time_ns() // 1000,
    }


def write_part(folder: Path, rows: Sequence[CacheRow]) -> None:
    """Adds one Parquet file, whole or not at all; it is on the disk when this returns."""
    if not rows:
        return
    name = f"part-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}.parquet"
    unfinished = folder / f".{name}.tmp"
    with unfinished.open("wb") as file:
        pq.write_table(pa.Table.from_pylist(list(rows), SCHEMA), file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(folder / name)


@dataclass
class Cache:
    """A folder of repairs; it need not exist for reading.

    Attributes:
        folder: of Parquet files, each with the columns of `SCHEMA`.
    """

    folder: Path
    _seen: dict[tuple[str, str], set[str]] = field(default_factory=dict, repr=False)

    def texts(self, identity: str) -> set[str]:
        """All texts that a rewriter has answered.

        Files that an earlier call of this object has read are not read again.

        Raises:
            UserError: a file is damaged or no part of a cache.
        """
        found: set[str] = set()
        for file in self._files():
            key = (file.name, identity)
            if key not in self._seen:
                table = _read(file, ["text"], identity)
                self._seen[key] = set(table.column("text").to_pylist())
            found |= self._seen[key]
        return found

    def missing(self, identity: str, texts: Iterable[str]) -> list[str]:
        """The texts that a rewriter has not answered, in their order; raises as `texts`."""
        known = self.texts(identity)
        return [text for text in texts if text not in known]

    def read(self, identity: str, texts: Collection[str]) -> dict[str, Repair]:
        """What a rewriter answered to these texts, as far as it is known.

        Raises:
            UserError: a file is damaged or no part of a cache.
        """
        wanted = pa.array(sorted(texts), pa.string())
        earliest: dict[str, CacheRow] = {}
        for file in self._files():
            table = _read(file, SCHEMA.names, identity)
            table = table.filter(pc.is_in(table.column("text"), value_set=wanted))
            for row in table.to_pylist():
                known = earliest.get(row["text"])
                if known is None or row["time"] < known["time"]:
                    earliest[row["text"]] = row
        return {text: _repair(row) for text, row in earliest.items()}

    @contextmanager
    def writer(self, identity: str) -> Iterator["CacheWriter"]:
        """A writer for a rewriter's answers; whatever it was given is kept, even if it is killed.

        Makes the folder. First takes over what killed passes left behind.

        Raises:
            UserError: the folder cannot be made or written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for rows in orphaned_rows(self.folder):
                write_part(self.folder, rows)
            journal = Journal(self.folder)
        except OSError as error:
            raise UserError(
                f"gsr.cache is {str(self.folder)!r}, which cannot be written to ({error}); name "
                "another folder"
            ) from error
        with journal:
            writer = CacheWriter(self.folder, identity, journal)
            try:
                yield writer
            finally:
                writer.finish_part()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet"))


@dataclass
class CacheWriter:
    """Collects answers for the next Parquet file; made by `Cache.writer`."""

    folder: Path
    identity: str
    journal: Journal
    _rows: list[CacheRow] = field(default_factory=list, repr=False)

    def add(self, repair: Repair) -> None:
        """Keeps one answer; from here on it is not lost."""
        row = cache_row(repair, self.identity)
        self.journal.append(row)
        self._rows.append(row)

    def finish_part(self) -> None:
        """Writes the collected answers as one Parquet file."""
        write_part(self.folder, self._rows)
        self.journal.clear()
        self._rows.clear()


def _read(file: Path, columns: Sequence[str], identity: str) -> pa.Table:
    """The rows of one identity in one file."""
    try:
        schema = pq.read_schema(file)
        missing = [name for name in SCHEMA.names if name not in schema.names]
        if missing:
            raise UserError(
                f"{file}: is no part of a repair cache, it lacks the columns "
                f"{', '.join(missing)}; move it elsewhere"
            )
        return pq.read_table(file, columns=list(columns), filters=[("identity", "=", identity)])
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"{file}: cannot be read ({str(error).splitlines()[0]}); copy it anew from where it "
            "came, or remove it, and its queries are asked again"
        ) from error


def _repair(row: CacheRow) -> Repair:
    return Repair(
        row["text"],
        row["refined"],
        row["generation_confidence"],
        row["reason"],
        row["prompt_tokens"],
        row["reply_tokens"],
    )


def unique(texts: Iterable[str]) -> list[str]:
    """Each text once, in the order of first appearance."""
    return list(dict.fromkeys(texts))
