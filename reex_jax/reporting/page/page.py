"""Puts the page together: tables, plots, examples, settings, and the filters above them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib import resources

from reex_jax.reporting.benchmark_table import MEAN, base_method, benchmark_tables
from reex_jax.reporting.joined import Results
from reex_jax.reporting.page import examples, plots, tables
from reex_jax.reporting.page.about import about
from reex_jax.reporting.page.gathered import Gathered, gather
from reex_jax.reporting.page.plots import Colours, Level
from reex_jax.reporting.page.svg import swatch
from reex_jax.reporting.published import deviations, published_table
from reex_jax.reporting.table import TITLES, protocol_line, skipped_lines
from reex_jax.reporting.table_export import column_name

EXAMPLES = 40
"""On the whole page, over the directions of a group of folders."""

_OLD = "was not recorded by these runs (folders of earlier versions, or record.details=False)"

Levels = Mapping[str, Sequence[Level]]
"""Direction -> what an ablation varied, group by group."""


def build_page(
    groups: Sequence[Results], notes: Sequence[str], levels: Sequence[Levels], title: str
) -> str:
    """The whole page.

    Args:
        groups: of folders, from `read_results`.
        notes: on folders that were left out.
        levels: of each group; empty for those that are no ablation.
        title: of the page.
    """
    body = [f"<h1>{escape(title)}</h1>", *(_note(note) for note in notes), _filters(groups)]
    for results, own in zip(groups, levels, strict=True):
        body.append(_group(results, own, several=len(groups) > 1))
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    body.append(f'<p class="soft">Made by reex_jax on {when}.</p>')
    style, script = _part("page.css"), _part("page.js")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n"
        f"<body>\n{chr(10).join(body)}\n<script>{script}</script></body></html>\n"
    )


def _part(name: str) -> str:
    return (resources.files("reex_jax.reporting.page") / name).read_text("utf-8")


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def _filters(groups: Sequence[Results]) -> str:
    rows = [row for results in groups for row in results.rows]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    columns = list(dict.fromkeys(column_name((r["corruption"], r["severity"])) for r in rows))
    directions = list(dict.fromkeys(row["direction"] for row in rows))
    boxes = "".join(
        f'<label><input type="checkbox" name="method" value="{escape(m)}" checked>{escape(m)}'
        "</label>"
        for m in methods
    )
    return (
        '<div class="filters" hidden>'
        + _select("direction", "Direction", {"": "both", **{d: d for d in directions}}, "")
        + _select("corruption", "Corruption", {MEAN: "all", **{c: c for c in columns}}, MEAN)
        + _select(
            "ranking",
            "Ranking in plots",
            {"": "both", "plain": "plain", "calibrated": "calibrated"},
            "calibrated" if len(methods) > 4 else "",
        )
        + f"<details><summary>Methods</summary><div>{boxes}</div></details></div>"
    )


def _select(name: str, label: str, options: Mapping[str, str], chosen: str) -> str:
    inside = "".join(
        f'<option value="{escape(value)}"{" selected" * (value == chosen)}>{escape(text)}</option>'
        for value, text in options.items()
    )
    return f'<label>{label} <select name="{name}">{inside}</select></label>'


def _group(results: Results, levels: Levels, *, several: bool) -> str:
    rows, found = results.rows, gather(results)
    bases = list(dict.fromkeys(base_method(row["method"]) for row in rows))
    colours = Colours(bases)
    directions = list(dict.fromkeys(row["direction"] for row in rows))
    parts = [f"<h1>{escape(results.name)}</h1>"] if several else []
    parts += [_note(note) for note in (*results.notes, *found.notes)]
    if found.missing:
        parts.append(
            _note(f"Of {found.missing} of {len(rows)} streams only the numbers were kept.")
        )
    merged = {**results.configs[0], "method": list(dict.fromkeys(r["method"] for r in rows))}
    parts.append(f'<p class="soft">{escape(protocol_line(merged, rows))}</p>')
    skipped = skipped_lines(rows)
    parts += [_note(line) for line in skipped.splitlines()]
    parts += [_benchmark(results), _published(results)]
    legend = _legend(results, colours)
    parts.append(_along(found, directions, colours, legend))
    parts.append(_severities(results, directions, colours))
    if levels:
        parts.append(_ablation(results, levels))
    parts.append(_hubs(found, directions, colours, legend))
    parts.append(_cost(results, directions, colours))
    parts.append(_examples(results, directions))
    parts += ["<h2>Settings, environment, commands</h2>", about(results)]
    return "\n".join(parts)


def _benchmark(results: Results) -> str:
    parts = [
        "<h2>Benchmark</h2><p>Best of a column bold, second underlined; ± is the standard "
        "deviation over seeds; below it the difference to plain <i>none</i>, in points. Means over "
        "corruptions are taken within each seed first.</p>"
    ]
    for table in benchmark_tables(results.rows):
        parts += [tables.benchmark(table), "<details><summary>Every metric</summary>"]
        parts += [tables.all_metrics(results.rows, table.direction), "</details>"]
    return "".join(parts)


def _published(results: Results) -> str:
    """Published numbers beside ours, only where checkpoint and protocol are theirs."""
    config = results.configs[0]
    if not config.get("published"):
        return ""
    differing = deviations(config, results.rows)
    if differing:
        return _note(f"Published numbers are left out: {'; '.join(differing)}.")
    table = published_table(config, results.rows)
    return f"<h3>Published numbers</h3><pre>{escape(table)}</pre>" if table else ""


def _legend(results: Results, colours: Colours) -> str:
    entries = "".join(
        f'<span data-method="{escape(m)}">{swatch(colours.of(m))}{escape(m)}</span>'
        for m in dict.fromkeys(row["method"] for row in results.rows)
    )
    return (
        f'<div class="legend">{entries}<span>{swatch(10, dashed=True)}plain</span>'
        f"<span>{swatch(10)}calibrated</span></div>"
    )


Plot = Callable[[Gathered, str, str, Colours], str]


def _figure(found: Gathered, direction: str, colours: Colours, plot: Plot, caption: str) -> str:
    """One plot for each corruption, of which the page shows the chosen one."""
    columns = list(dict.fromkeys(c for d, c, *_ in found.sums if d == direction))
    columns.sort(key=lambda column: column != MEAN)
    drawn = {column: plot(found, direction, column, colours) for column in columns}
    inside = "".join(
        f'<div class="plot" data-corruption="{escape(column)}">{svg}</div>'
        for column, svg in drawn.items()
        if svg
    )
    if not inside:
        said = f"<figcaption>{escape(TITLES[direction])}: {caption} {_OLD}</figcaption>"
        return f'<figure data-direction="{direction}">{said}</figure>'
    return (
        f'<figure data-direction="{direction}" data-empty>{inside}'
        '<p class="empty soft" hidden>Nothing here for this corruption.</p>'
        f"<figcaption>{escape(TITLES[direction])}: {caption}</figcaption></figure>"
    )


def _along(found: Gathered, directions: Sequence[str], colours: Colours, legend: str) -> str:
    parts = [
        "<h2>Along the stream</h2><p>Does adaptation help early, does it decay, and what do clean "
        "queries find with the parameters of that moment? They are asked now and then, and never "
        f'learned from.</p>{legend}<div class="plots">'
    ]
    for direction in directions:
        for plot, caption in (
            (plots.along_the_stream, "recall of each batch, over corruptions and seeds"),
            (plots.clean_along_the_stream, "clean queries with the parameters of that moment"),
            (plots.distance, "distance of the adapted parameters from the source's"),
        ):
            parts.append(_figure(found, direction, colours, plot, caption))
    return "".join([*parts, "</div>"])


def _severities(results: Results, directions: Sequence[str], colours: Colours) -> str:
    parts = ['<h2>Recall by severity</h2><div class="plots">']
    for direction in directions:
        svg = plots.by_severity(results.rows, direction, colours)
        caption = f"{TITLES[direction]}: " + (
            "mean over the kinds that have every severity"
            if svg
            else "these runs have one severity; a sweep has more, --config=FILE:severities"
        )
        parts.append(
            f'<figure data-direction="{direction}">{svg}'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )
    return "".join([*parts, "</div>"])


def _ablation(results: Results, levels: Levels) -> str:
    entries = f"<span>{swatch(1, dashed=True)}plain</span><span>{swatch(2)}calibrated</span>"
    parts = [
        "<h2>Ablation</h2><p>One setting changed at a time; bands are the standard deviation over "
        f"seeds. Axes span at least {plots.LEAST_POINTS:g} points, so that what makes no "
        f'difference looks like it.</p><div class="legend">{entries}</div><div class="plots">'
    ]
    for direction, own in levels.items():
        for group in dict.fromkeys(level.group for level in own):
            here = [level for level in own if level.group == group]
            svg = plots.ablation(results.rows, direction, here)
            parts.append(
                f'<figure data-direction="{direction}">{svg}'
                f"<figcaption>{escape(TITLES[direction])}: {escape(group)}</figcaption></figure>"
            )
    return "".join([*parts, "</div>"])


def _hubs(found: Gathered, directions: Sequence[str], colours: Colours, legend: str) -> str:
    parts = [
        "<h2>Hubs and confidence</h2><p>Left: how often each gallery item is among the first ten "
        "of a stream's queries; a steep line means a few items that answer everything. Right: how "
        "often the first item is right at each confidence (the softmax's share of the first item, "
        f'at the model\'s own temperature).</p>{legend}<div class="plots">'
    ]
    for direction in directions:
        parts.append(_figure(found, direction, colours, plots.hubs, "how often each item is found"))
        caption = "reliability of the confidence"
        parts.append(_figure(found, direction, colours, plots.reliability, caption))
    parts.append("</div>")
    return "".join([*parts, *(tables.kept_numbers(found, d) for d in directions)])


def _cost(results: Results, directions: Sequence[str], colours: Colours) -> str:
    parts = [
        "<h2>Cost against gain</h2><p>Further left is cheaper, further up is better; hollow marks "
        'are plain rankings, filled ones calibrated.</p><div class="plots">'
    ]
    for direction in directions:
        svg = plots.cost_against_gain(results.rows, direction, colours)
        caption = TITLES[direction] if svg else "without plain none there is nothing to gain over"
        parts.append(
            f'<figure data-direction="{direction}">{svg}'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )
    return "".join([*parts, "</div>"])


def _examples(results: Results, directions: Sequence[str]) -> str:
    parts = ["<h2>Queries, before and after</h2>"]
    drawn = 0
    for direction in directions:
        before, after = examples.compared_methods(results.rows, direction)
        chosen = examples.choose(results, direction, EXAMPLES // len(directions))
        drawn += len(chosen)
        if chosen:
            parts.append(
                f'<div data-direction="{direction}"><h3>{escape(TITLES[direction])}</h3><p>Before: '
                f"{escape(before)}, plain. After: {escape(after)}, calibrated if it is. Those that "
                'rose most come first, then some that fell or stayed.</p><div class="examples">'
                f"{''.join(map(examples.drawn, chosen))}</div></div>"
            )
    return "".join(parts if drawn else [*parts, f"<p>What queries found {_OLD}.</p>"])
