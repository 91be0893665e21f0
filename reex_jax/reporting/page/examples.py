"""Forty queries as people see them: what they found before and after, and what moved."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log2
from typing import Any

import numpy as np

from reex_jax.reporting.benchmark_table import NONE
from reex_jax.reporting.details import K, load_details
from reex_jax.reporting.example_lines import read_examples
from reex_jax.reporting.joined import Results
from reex_jax.reporting.rows import Row
from reex_jax.reporting.table_export import column_name
from reex_jax.settings.choices import REPAIRED

SHOWN = 3
"""Items of each ranking."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a ranking gave a query.

    Attributes:
        items: [K] gallery positions, best first.
        rank: zero-based, of the best right answer.
        sure: confidence in the first.
    """

    items: np.ndarray
    rank: int
    sure: float


@dataclass(frozen=True, eq=False)
class Example:
    """One query.

    Attributes:
        direction, column: where it belongs.
        line: as `examples/` has it.
        items: gallery position -> what is shown of it.
        before, after: the two rankings.
    """

    direction: str
    column: str
    line: Mapping[str, Any]
    items: Mapping[str, Mapping[str, str]]
    before: Found
    after: Found

    @property
    def gain(self) -> float:
        """How often the right answer's place was halved."""
        return log2((self.before.rank + 1) / (self.after.rank + 1))


def compared_methods(rows: Sequence[Row], direction: str) -> tuple[str, str]:
    """(before, after): plain `none`, and ReEx, or the last method where it did not run.

    With repair where that was measured beside.
    """
    methods = list(dict.fromkeys(row["method"] for row in rows if row["direction"] == direction))
    before = NONE if NONE in methods else methods[0]
    for wanted in (f"reex{REPAIRED}", "reex"):
        if wanted in methods:
            return before, wanted
    return before, methods[-1]


def choose(results: Results, direction: str, count: int) -> list[Example]:
    """Half of those that rose most, some that fell most, and some that stayed."""
    found = sorted(_all(results, direction), key=lambda one: -one.gain)
    rose = [one for one in found if one.gain > 0]
    fell = [one for one in reversed(found) if one.gain < 0]
    stayed = [one for one in found if one.gain == 0]
    few = count * 3 // 10
    chosen = _spread(fell, few) + _spread(stayed, count // 5)
    rest = _spread(rose, count - len(chosen))
    left = [one for one in stayed + fell if one not in chosen]
    return (rest + chosen + left)[:count]


def _spread(examples: Sequence[Example], count: int) -> list[Example]:
    """The first ones, taking turns among corruptions."""
    turns: dict[str, int] = {}
    numbered = []
    for place, one in enumerate(examples):
        turns[one.column] = turns.get(one.column, 0) + 1
        numbered.append((turns[one.column], place, one))
    return [one for *_, one in sorted(numbered, key=lambda item: item[:2])[:count]]


def _all(results: Results, direction: str) -> Iterator[Example]:
    lines, items = {}, {}
    for folder in results.folders:
        for line in read_examples(folder.path / "examples" / f"{direction}.queries.jsonl"):
            lines[line["key"]] = line
        for item in read_examples(folder.path / "examples" / f"{direction}.items.jsonl"):
            items[item["key"]] = item.get("item", {})
    if not lines:
        return
    before, after = compared_methods(results.rows, direction)
    kept = {
        name: {
            key: found
            for row in results.rows
            if (row["method"], row["direction"]) == (name, direction)
            for key, found in _found(results, row, last=name is after)
        }
        for name in dict.fromkeys((before, after))
    }
    first = kept[before] if before != after else _plain(results, direction, before)
    for key, line in lines.items():
        if key in first and key in kept[after]:
            corruption, severity, *_ = key.split("/")
            column = column_name((corruption, int(severity)))
            yield Example(direction, column, line, items, first[key], kept[after][key])


def _plain(results: Results, direction: str, method: str) -> dict[str, Found]:
    return {
        key: found
        for row in results.rows
        if (row["method"], row["direction"]) == (method, direction)
        for key, found in _found(results, row, last=False)
    }


def _found(results: Results, row: Row, *, last: bool) -> Iterator[tuple[str, Found]]:
    """(key, what was found) of a row's examples; calibrated, if there is such, for the `last`."""
    try:
        details = load_details(results.home(row).details(row))
    except ValueError:
        return  # noted where the plots are made
    if details is None or details.get("examples") is None:
        return
    calibrated = last and details.get("example_rank_calibrated") is not None
    ranking = "calibrated" if calibrated else "plain"
    positions = details.arrays["examples"]
    items, ranks = details.get(f"example_items_{ranking}"), details.get(f"example_rank_{ranking}")
    sure = details.get(f"example_sure_{ranking}")
    if items is None or ranks is None or sure is None:
        return
    for position, own, rank, confidence in zip(positions, items, ranks, sure, strict=True):
        key = f"{row['corruption']}/{row['severity']}/{row['seed']}/{position}"
        yield key, Found(own, int(rank), float(confidence))


def drawn(example: Example) -> str:
    """An example as HTML."""
    line = example.line
    gain = example.gain
    how = "up" if gain > 0 else "down" if gain < 0 else "same"
    sign = {"up": "▲", "down": "▼", "same": "="}[how]
    places = f"{example.before.rank + 1} → {example.after.rank + 1}"
    parts = [
        f'<article class="example" data-direction="{example.direction}" '
        f'data-corruption="{escape(example.column)}">',
        f'<header><span class="tag">{escape(example.column)}</span> '
        f'<span class="{how}">{sign} right answer: place {places}</span></header>',
        f'<div class="query">{_shown(line.get("query"), "query")}',
    ]
    if line.get("clean"):
        parts.append(
            f'<div class="clean"><small>clean</small>{_shown(line["clean"], "clean")}</div>'
        )
    parts.append("</div>")
    if "repaired" in line:
        parts.append(_repair(line))
    answers = set(line.get("answers", ()))
    parts.append('<div class="rankings">')
    for title, own, other, before in (
        ("before", example.before, example.after, True),
        ("after", example.after, example.before, False),
    ):
        rows = [
            _item(example, int(position), place, other, answers, before)
            for place, position in enumerate(own.items[:SHOWN])
        ]
        parts.append(
            f"<div><small>{title}, confidence {own.sure:.2f}</small><ol>{''.join(rows)}</ol></div>"
        )
    return "".join([*parts, "</div></article>"])


def _item(
    example: Example, position: int, place: int, other: Found, answers: set[int], before: bool
) -> str:
    there = np.flatnonzero(other.items == position)
    elsewhere = str(int(there[0]) + 1) if len(there) else f"beyond {K}"
    if len(there) and int(there[0]) == place:
        move = '<span class="same">=</span>'
    else:
        later = int(there[0]) if len(there) else K
        rises = later < place if before else later > place
        how, sign = ("up", "▲") if rises else ("down", "▼")
        move = f'<span class="{how}">{sign} {"to" if before else "from"} {elsewhere}</span>'
    right = '<span class="right">✓ right</span> ' if position in answers else ""
    shown = _shown(example.items.get(str(position)), f"item {position}")
    return f"<li>{shown}<small>{right}{move}</small></li>"


def _shown(item: Any, name: str) -> str:
    if isinstance(item, Mapping) and str(item.get("image", "")).startswith("data:image/"):
        return f'<img alt="{escape(name)}" loading="lazy" src="{escape(str(item["image"]))}">'
    if isinstance(item, Mapping) and "text" in item:
        return f"<p>{escape(str(item['text']))}</p>"
    return f"<p>{escape(name)}</p>"


def _repair(line: Mapping[str, Any]) -> str:
    text = str((line.get("query") or {}).get("text", ""))
    numbers = ", ".join(
        f"{name} {float(line[key]):.2f}"
        for name, key in (
            ("generation confidence", "generation"),
            ("edit confidence", "edit"),
            ("weight in the fusion (source model)", "weight"),
        )
        if isinstance(line.get(key), int | float)
    )
    return (
        f'<div class="repair"><small>repair: {numbers}</small>'
        f"<p>{word_difference(text, str(line['repaired']))}</p></div>"
    )


def word_difference(old: str, new: str) -> str:
    """What was taken out and put in, word by word, as HTML."""
    before, after = old.split(), new.split()
    parts = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, False).get_opcodes():
        if kind == "equal":
            parts.append(escape(" ".join(before[a:b])))
            continue
        if b > a:
            parts.append(f"<del>{escape(' '.join(before[a:b]))}</del>")
        if d > c:
            parts.append(f"<ins>{escape(' '.join(after[c:d]))}</ins>")
    return " ".join(parts)
