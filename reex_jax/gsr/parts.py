"""The files of a repair cache: one row for each (text, rewriter identity)."""

import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rapidfuzz.distance import OSA

from reex_jax.errors import UserError
from reex_jax.gsr.journal import CacheRow
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


def fits(row: CacheRow) -> bool:
    """Whether the cache can keep a row: half a character or a huge number fits in no column."""
    for column in SCHEMA:
        value = row.get(column.name)
        if value is None:
            if not column.nullable:
                return False
        elif pa.types.is_string(column.type):
            if not isinstance(value, str) or half_character(value):
                return False
        elif pa.types.is_floating(column.type):
            if type(value) not in (int, float) or not abs(value) <= 1:
                return False
        elif type(value) is not int or not 0 <= value < 2**53:
            return False
    return True


def half_character(text: str) -> bool:
    """Whether a text holds a lone surrogate such as \\ud800, which no file keeps."""
    return not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text)


def write_part(folder: Path, rows: Sequence[CacheRow]) -> None:
    """Adds one Parquet file, whole or not at all; it is on the disk when this returns.

    Raises:
        UserError: the folder cannot be written to.
    """
    if not rows:
        return
    name = f"part-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}.parquet"
    unfinished = folder / f".{name}.tmp"
    try:
        with unfinished.open("wb") as file:
            pq.write_table(pa.Table.from_pylist(list(rows), SCHEMA), file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(folder / name)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise unwritable(folder, error) from error


def unwritable(folder: Path, error: OSError) -> UserError:
    """The error of a cache's folder that cannot be made or written to."""
    return UserError(
        f"gsr.cache is {str(folder)!r}, which cannot be written to ({error}); make room there, or "
        "name another folder"
    )


def read_part(file: Path, columns: Sequence[str], identity: str) -> pa.Table:
    """The rows of one identity in one file.

    Raises:
        UserError: the file is damaged or no part of a cache.
    """
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


def repair_of(row: CacheRow) -> Repair:
    """What a row of the cache says."""
    return Repair(
        row["text"],
        row["refined"],
        row["generation_confidence"],
        row["reason"],
        row["prompt_tokens"],
        row["reply_tokens"],
    )
