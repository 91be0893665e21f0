"""Brings an index to what a source holds: reads what is new or changed, and only that."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reex_jax.datasets.skipped import Skipped
from reex_jax.errors import UserError
from reex_jax.index.encoding import embedded, embedding_devices
from reex_jax.index.entries import Entry
from reex_jax.index.preparing import Prepared, in_order, preparation
from reex_jax.index.rows import Row
from reex_jax.index.writer import IndexWriter
from reex_jax.models.batches import chunks
from reex_jax.models.two_tower import TwoTower
from reex_jax.progress import Progress
from reex_jax.settings.indexing import Indexing

FAULTS = "faults.jsonl"
_ITEMS, _SECONDS = 4096, 15.0
"""After so many items, or so long, what was embedded is written: a kill loses no more."""


@dataclass
class Report:
    """What a build did.

    Attributes:
        embedded: new rows.
        changed: items whose earlier rows were taken out.
        unchanged: items that were passed over.
        gone: ids in the index that the source does not have.
        faults: what could not be used.
        seconds: that embedding took.
    """

    embedded: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    faults: list[Skipped] = field(default_factory=list)
    seconds: float = 0.0


def build(
    writer: IndexWriter,
    model: TwoTower,
    found: Iterable[Entry | Skipped],
    settings: Indexing,
    *,
    shown: bool = True,
) -> Report:
    """Embeds every entry that the index lacks, and those whose stamp has changed.

    Killed at any moment, the same call goes on from what was written last. Faulty items are left
    out, listed in the report and in FAULTS in the index's folder, and tried again next time.

    Args:
        writer: of the index.
        model: that of the index.
        found: entries; see `sources`.
        settings: see `Indexing`.
        shown: whether progress is.

    Raises:
        UserError: no entries at all, no usable one, or the disk is full.
    """
    modality = writer.manifest.modality
    prepare, devices = preparation(model, modality, settings), embedding_devices(settings.devices)
    report = Report()
    todo = _sorted_out(writer, found, report)
    began, before = time.monotonic(), report.unchanged
    with Progress(
        len(todo) + before, done=before, unit=modality, label="index", shown=shown
    ) as bar:
        ahead = 2 * settings.batch_size * len(devices)
        prepared = in_order(prepare, todo, settings.workers, ahead)
        batches = _batches(_usable(prepared, report, bar), model, modality, settings.batch_size)
        rows = embedded(model, modality, batches, settings.batch_size, devices)
        report.embedded = _write(writer, rows, bar)
    report.seconds = time.monotonic() - began
    write_faults(writer.folder, report.faults)
    if not writer.manifest.items:
        first = report.faults[0]
        raise UserError(
            f"none of the {len(report.faults)} items can be used, so {writer.folder} stays empty; "
            f"the first is {first.id}: {first.reason}"
        )
    return report


def _sorted_out(
    writer: IndexWriter, found: Iterable[Entry | Skipped], report: Report
) -> list[Entry]:
    """The entries to embed; rows of changed ones are taken out."""
    rows = writer.rows
    ids, stamps = rows.texts("ids").whole(), rows.texts("stamps").whole()
    places = rows.texts("places").whole()
    known = {name: position for position, name in enumerate(ids)}
    seen: dict[str, str] = {}
    todo: list[Entry] = []
    changed: list[int] = []
    for entry in found:
        if isinstance(entry, Skipped):
            report.faults.append(entry)
            continue
        if entry.id in seen:
            reason = f"the id was given before, by {seen[entry.id]}; make each id unique"
            report.faults.append(Skipped(entry.place, f"{entry.id}: {reason}"))
            continue
        seen[entry.id] = entry.place
        at = known.get(entry.id)
        if at is not None and stamps[at] == entry.stamp:
            report.unchanged += 1
        elif at is not None and places[at] != entry.place:
            reason = f"the index has this id from {places[at]}; set build.prefix, or remove that"
            report.faults.append(Skipped(entry.id, reason))
        else:
            changed += [] if at is None else [at]
            todo.append(entry)
    if not seen and not report.faults:
        raise UserError(
            "no items found; a folder needs pictures in it or below (.jpg, .png, .webp, .gif, "
            ".bmp, .tif, .ppm, .jp2), a shard samples with a picture, a file of texts lines"
        )
    report.gone = len(known.keys() - seen.keys())
    report.changed = len(changed)
    writer.remove(changed)
    return todo


def _usable(
    prepared: Iterator[Prepared | Skipped], report: Report, bar: Progress
) -> Iterator[Prepared]:
    for item in prepared:
        if isinstance(item, Skipped):
            report.faults.append(item)
            bar.update()
        else:
            yield item


def _batches(
    items: Iterator[Prepared], model: TwoTower, modality: str, size: int
) -> Iterator[tuple[list[Prepared], np.ndarray]]:
    for part in chunks(items, size):
        inputs = [item.inputs for item in part]
        yield part, np.stack(inputs) if modality == "image" else model.pad_texts(inputs)


def _write(
    writer: IndexWriter, rows: Iterator[tuple[list[Prepared], np.ndarray]], bar: Progress
) -> int:
    """Writes rows now and then, and what is there when the user stops it; how many they were."""
    waiting: list[Row] = []
    before, written = writer.manifest.items, time.monotonic()
    try:
        for items, vectors in rows:
            waiting += map(_row, items, vectors)
            bar.update(len(items))
            if len(waiting) >= _ITEMS or time.monotonic() - written >= _SECONDS:
                writer.append(waiting)
                waiting, written = [], time.monotonic()
    except Exception:
        raise
    except BaseException:  # Ctrl-C or SIGTERM
        writer.append(waiting)
        raise
    writer.append(waiting)
    return writer.manifest.items - before


def _row(item: Prepared, vector: np.ndarray) -> Row:
    entry = item.entry
    return Row(entry.id, vector, item.caption, entry.place, entry.stamp, item.thumbnail)


def write_faults(folder: Path, faults: Iterable[Skipped]) -> None:
    """Writes what was left out, {"id", "reason"} a line, and no file if there is nothing."""
    lines = [json.dumps({"id": one.id, "reason": one.reason}) + "\n" for one in faults]
    path, fresh = folder / FAULTS, folder / f"{FAULTS}.new"
    if lines:
        fresh.write_text("".join(lines), "utf-8")
        os.replace(fresh, path)
    else:
        path.unlink(missing_ok=True)
