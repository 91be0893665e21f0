"""The repair cache: a folder of Parquet files, one row for each (text, rewriter identity).

Files are only ever added, under names that no other machine uses, so that caches are merged by
copying files, and readers (pandas, DuckDB, this code) never see half of one. A pair may stand in
several files, when passes on two machines asked at once: the earliest answer counts.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from reex_jax.errors import UserError
from reex_jax.gsr.journal import CacheRow, Journal, Underway, alone, orphaned_rows, underway
from reex_jax.gsr.parts import (
    SCHEMA,
    cache_row,
    fits,
    half_character,
    read_part,
    repair_of,
    unwritable,
    write_part,
)
from reex_jax.gsr.repair import Repair


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
                table = read_part(file, ["text"], identity)
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
            table = read_part(file, SCHEMA.names, identity)
            table = table.filter(pc.is_in(table.column("text"), value_set=wanted))
            for row in table.to_pylist():
                known = earliest.get(row["text"])
                if known is None or row["time"] < known["time"]:
                    earliest[row["text"]] = row
        return {text: repair_of(row) for text, row in earliest.items()}

    @contextmanager
    def writer(self, identity: str) -> Iterator["CacheWriter"]:
        """A writer for a rewriter's answers; whatever it was given is kept, even if it is killed.

        Makes the folder. First takes over what killed passes left behind.

        Raises:
            UserError: the folder cannot be made or written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with alone(self.folder):
                self._take_over()
            journal = Journal(self.folder)
        except OSError as error:
            raise unwritable(self.folder, error) from error
        with journal:
            writer = CacheWriter(self, identity, journal)
            try:
                yield writer
            finally:
                writer.finish_part()

    def _take_over(self) -> None:
        """Stores what killed passes left behind."""
        for rows in orphaned_rows(self.folder, fits):
            write_part(self.folder, rows)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet"))


@dataclass
class CacheWriter:
    """Collects answers for the next Parquet file; made by `Cache.writer`."""

    cache: Cache
    identity: str
    journal: Journal
    _rows: list[CacheRow] = field(default_factory=list, repr=False)

    def __len__(self) -> int:
        """How many answers are collected."""
        return len(self._rows)

    def claim(
        self, texts: Sequence[str], most: Callable[[int], int], *, shared: bool = False
    ) -> "Claim":
        """Chooses what to ask for next, and tells the passes beside this one.

        Args:
            texts: what this pass may still have to ask for.
            most: how many texts are free -> how many to choose.
            shared: whether texts that others are asking for may be chosen too.

        Raises:
            UserError: the cache cannot be read or written.
        """
        folder = self.cache.folder
        try:
            with alone(folder):
                self.cache._take_over()
                beside = underway(folder, self.identity, self.journal.path)
                open_ = self._unanswered(texts, beside)
                free = [text for text in open_ if shared or text not in beside.asked]
                mine = free[: most(len(free))]
                self.journal.asking(self.identity, mine)
        except OSError as error:
            raise unwritable(folder, error) from error
        return Claim(mine, open_)

    def _unanswered(self, texts: Sequence[str], beside: Underway) -> list[str]:
        own = {row["text"] for row in self._rows}
        missing = self.cache.missing(self.identity, texts)
        return [text for text in missing if text not in own and text not in beside.answered]

    def add(self, repair: Repair) -> None:
        """Keeps one answer; from here on it is not lost.

        Raises:
            UserError: the folder cannot be written to, or the answer cannot be kept.
        """
        row = cache_row(repair, self.identity)
        if not fits(row):
            raise UserError(f"the answer to {repair.text!a:.80} cannot be kept in a cache")
        try:
            self.journal.append(row)
        except OSError as error:
            raise unwritable(self.cache.folder, error) from error
        self._rows.append(row)

    def finish_part(self) -> None:
        """Writes the collected answers as one Parquet file; nothing is being asked for then."""
        write_part(self.cache.folder, self._rows)
        self.journal.clear()
        self._rows.clear()


@dataclass(frozen=True)
class Claim:
    """A pass's share of the work.

    Attributes:
        mine: texts to ask for now.
        unanswered: these, those that others are asking for, and what is left for later.
    """

    mine: list[str]
    unanswered: list[str]


def unique(texts: Iterable[str]) -> list[str]:
    """Each text once, in the order of first appearance.

    Raises:
        UserError: a text with half a character (a lone surrogate), which no file keeps.
    """
    found = list(dict.fromkeys(texts))
    for text in found:
        if half_character(text):
            raise UserError(
                f"the query {text!a:.80} holds half a character (a lone surrogate such as "
                "\\ud800), which no file can keep; mend the captions"
            )
    return found
