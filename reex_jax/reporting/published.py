"""Published numbers beside ours: the baselines of TCR's tables.

Recall@1 of "Test-time Adaptation for Cross-modal Retrieval with Query Shift" (Li et al., ICLR 2025,
arXiv 2410.15624), tables 1 to 4, from a second-hand copy that leaves out TCR's own rows.
Corruptions have their highest severity: 5 for images, 7 for characters and words, 1 for sentences.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from tabulate import tabulate

from reex_jax.corruptions.image.kinds import IMAGE_CORRUPTIONS
from reex_jax.corruptions.text.sentence_prompts import SENTENCE_KINDS
from reex_jax.errors import UserError, unknown
from reex_jax.reporting.comparison import short_name
from reex_jax.reporting.rows import Row
from reex_jax.reporting.table import MEAN, TITLES, values_of
from reex_jax.settings.choices import CLEAN, IMAGE_TO_TEXT

FILE = Path(__file__).with_name("published_recall.csv")


@dataclass(frozen=True)
class PublishedSet:
    """A part of the published tables.

    Attributes:
        benchmark, backbone: as in the file.
        checkpoint: the last part of the hub id of the same weights.
    """

    benchmark: str
    backbone: str
    checkpoint: str


COCO_C, CLEAN_SETS = "coco_c", "query_gallery_shift"
SETS: Mapping[str, PublishedSet] = MappingProxyType(
    {
        "tcr_blip_base": PublishedSet(COCO_C, "BLIP ViT-B/16", "blip-itm-base-coco"),
        "tcr_blip_large": PublishedSet(COCO_C, "BLIP ViT-L/16", "blip-itm-large-coco"),
        "tcr_clip": PublishedSet(CLEAN_SETS, "CLIP ViT-B/16", "clip-vit-base-patch16"),
    }
)
"""A name of `settings.choices.PUBLISHED` -> what it stands for."""

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "Gauss": "gaussian_noise",
        "Shot": "shot_noise",
        "Impul": "impulse_noise",
        "Speckle": "speckle_noise",
        "Defoc": "defocus_blur",
        "Glass": "glass_blur",
        "Motion": "motion_blur",
        "Zoom": "zoom_blur",
        "Snow": "snow",
        "Frost": "frost",
        "Fog": "fog",
        "Brit": "brightness",
        "Contr": "contrast",
        "Elastic": "elastic_transform",
        "Pixel": "pixelate",
        "JPEG": "jpeg_compression",
        "OCR": "ocr",
        "CI": "insert",
        "CR": "replace",
        "CS": "swap",
        "CD": "delete",
        "SR": "synonym_replacement",
        "RI": "word_insertion",
        "RS": "word_swap",
        "RD": "word_deletion",
        "IP": "punctuation_insertion",
        "Formal": "formal",
        "Casual": "casual",
        "Passive": "passive",
        "Active": "active",
        "Backtrans": "back_translation",
    }
)
"""A column of tables 1 and 2 -> our name of the corruption."""

_DATA = {"coco": "Base2COCO", "flickr30k": "Base2Flickr"}
"""A preset -> the beginning of its columns in tables 3 and 4."""


def read_published() -> list[dict[str, str]]:
    """Every line of the file, 570 of them; means over columns, "Avg", too.

    Raises:
        UserError: the file is not there, as in a broken installation.
    """
    try:
        lines = FILE.read_text("utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{FILE}: cannot be read; install reex_jax again") from error
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def published_recall(name: str, preset: str) -> dict[tuple[str, str, str], float]:
    """(method, direction, corruption) -> recall@1 in percent, of one backbone.

    Args:
        name: a key of SETS.
        preset: of the data: tables 3 and 4 have a column for each data set, whose corruption is
            "clean"; tables 1 and 2 are of COCO.

    Raises:
        UserError: an unknown name.
    """
    if name not in SETS:
        raise unknown("published set", name, SETS)
    chosen, found = SETS[name], {}
    for line in read_published():
        column = line["corruption_or_dataset"]
        if (line["benchmark"], line["backbone"]) != (chosen.benchmark, chosen.backbone):
            continue
        if chosen.benchmark == COCO_C:
            corruption = COLUMNS.get(column, "") if preset == "coco" else ""
        else:
            corruption = CLEAN if column.startswith(f"{_DATA.get(preset, '?')} ") else ""
        if corruption:
            key = (line["method"], line["direction"], corruption)
            found[key] = float(line["recall_at_1_percent"])
    return found


def deviations(config: Mapping[str, Any], rows: Sequence[Row]) -> list[str]:
    """In what a run differs from the published protocol, a phrase each; [] if in nothing known.

    Args:
        config: of the run, with `published`.
        rows: lines of its metrics.jsonl.
    """
    chosen, data, adapt = SETS[config["published"]], config["data"], config["adapt"]
    found = []
    if config["checkpoint"].rstrip("/").rpartition("/")[2] != chosen.checkpoint:
        found.append(f"checkpoint {config['checkpoint']}, theirs is {chosen.backbone}")
    wanted = {
        "data.preprocessing": (data["preprocessing"], "tcr"),
        "batch_size": (config["batch_size"], 64),
        "adapt.steps": (adapt["steps"], 3),
        "adapt.score": (adapt["score"], "last_forward"),
        "adapt.stream": (adapt["stream"], "reset"),
        "max_queries": (config["max_queries"], 0),
        "data.max_images": (data["max_images"], 0),
    }
    found += [f"{key} {ours}, theirs {own}" for key, (ours, own) in wanted.items() if ours != own]
    if config["runlocal"]:
        found.append("runlocal, a small part of the data")
    damaged = [row for row in rows if row["corruption"] != CLEAN]
    for key, direction in (("released_images", True), ("released_captions", False)):
        own = [row for row in damaged if (row["direction"] == IMAGE_TO_TEXT) == direction]
        if own and not data[key]:
            found.append(f"data.{key} is empty: our corruptions, not the published files")
    low = {row["corruption"] for row in damaged if row["severity"] != _highest(row["corruption"])}
    if low:
        found.append(f"another severity than the highest of {', '.join(sorted(low))}")
    return found


def _highest(corruption: str) -> int:
    if corruption in IMAGE_CORRUPTIONS:
        return 5
    return 1 if corruption in SENTENCE_KINDS else 7


def published_table(config: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """Ours below theirs, and the difference: a Markdown table a direction, then what differs.

    Only rankings by cosine are compared. Means are over the columns of the table. "" for a run
    whose `published` is empty, or that has no column of theirs.
    """
    name = config.get("published", "")
    if not name:
        return ""
    theirs = published_recall(name, config["data"]["preset"])
    parts = []
    for direction in dict.fromkeys(row["direction"] for row in rows):
        own = [row for row in rows if row["direction"] == direction]
        known = {corruption for _, where, corruption in theirs if where == direction}
        columns = [c for c in dict.fromkeys(row["corruption"] for row in own) if c in known]
        if columns:
            parts.append(_direction_table(direction, own, columns, theirs))
    if not parts:
        return ""
    differing = deviations(config, rows)
    note = "not comparable: " + "; ".join(differing) if differing else "the protocol is theirs"
    title = f"Published ({SETS[name].backbone}, TCR's paper, arXiv 2410.15624) and ours, R@1"
    return "\n\n".join([title, *parts, f"compared with the published numbers, {note}"])


def _direction_table(
    direction: str,
    rows: Sequence[Row],
    columns: Sequence[str],
    theirs: Mapping[tuple[str, str, str], float],
) -> str:
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        ours = [_mean(rows, method, corruption) for corruption in columns]
        known = [theirs.get((method, direction, corruption)) for corruption in columns]
        published = [value for value in known if value is not None]
        whole = len(published) == len(columns)
        if whole:
            lines.append([f"{method}, published", *_cells(published, ".1f")])
        lines.append([f"{method}, ours", *_cells(ours, ".1f")])
        if whole:
            difference = np.subtract(ours, published).tolist()
            lines.append([f"{method}, difference", *_cells(difference, "+.1f")])
    heads = [*map(short_name, columns), *([MEAN] if len(columns) > 1 else [])]
    table = tabulate(
        lines,
        ["method", *heads],
        tablefmt="github",
        disable_numparse=True,
        colalign=["left"] + len(heads) * ["right"],
    )
    return f"{TITLES[direction]} ({direction})\n\n{table}"


def _mean(rows: Sequence[Row], method: str, corruption: str) -> float:
    same = [r for r in rows if (r["method"], r["corruption"]) == (method, corruption)]
    return float(np.mean(values_of(same, "recall@1"))) if same else float("nan")


def _cells(values: Sequence[float], form: str) -> list[str]:
    shown = [*values, float(np.mean(values))] if len(values) > 1 else list(values)
    return ["-" if np.isnan(value) else format(value, form) for value in shown]
