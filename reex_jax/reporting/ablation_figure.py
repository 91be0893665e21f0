"""The plot of an ablation: a panel for each group and direction, a point for each level."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reex_jax.reporting.ablation_report import REFERENCES, Finding
from reex_jax.reporting.table import TITLES

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that people with any kind of colour vision tell apart (Okabe and Ito, 2008); shapes and
# line styles differ too.
_LEVEL, _DEFAULT, _NONE = "#0072B2", "#D55E00", "#555555"
_INCHES_PER_LEVEL, _PANEL_WIDTH = 0.3, 4.0
_LEAST_POINTS = 10.0  # of an axis: where a setting makes no difference, it must look like that


def draw_ablation(findings: Sequence[Finding], default: str, unadapted: str = "none") -> "Figure":
    """Draws recall@1 of every level, with the standard deviation over seeds.

    Levels stand below each other, the first on top; panels of one direction share their scale.
    Lines mark the default and, where it was measured, the unadapted model. No state of
    matplotlib's is changed: the figure belongs to no window and no registry.

    Args:
        findings: of at least one group beside REFERENCES.
        default: the method that the levels change.
        unadapted: the method that stands for no adaptation.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = [g for g in dict.fromkeys(f.level.group for f in findings) if g != REFERENCES]
    directions = list(dict.fromkeys(f.level.direction for f in findings))
    counts = [len({f.level.label for f in findings if f.level.group == g}) for g in groups]
    # One more line a panel, and a third of an inch, for its frame and what is written around it.
    height = _INCHES_PER_LEVEL * (sum(counts) + len(counts)) + 0.35 * len(counts) + 1.2
    figure = Figure(figsize=(2.0 + _PANEL_WIDTH * len(directions), height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(
        len(groups),
        len(directions),
        sharex="col",
        squeeze=False,
        height_ratios=[count + 1 for count in counts],
    )
    for row, group in zip(grid, groups, strict=True):
        for axes, direction in zip(row, directions, strict=True):
            here = [f for f in findings if f.level.direction == direction]
            _draw_panel(axes, [f for f in here if f.level.group == group])
            _draw_references(axes, here, default, unadapted)
            axes.tick_params(labelleft=direction == directions[0])
        row[0].set_ylabel(group)
    for axes, direction in zip(grid[0], directions, strict=True):
        axes.set_title(TITLES[direction], fontsize=10)
    for axes, direction in zip(grid[-1], directions, strict=True):
        axes.set_xlabel(_scale([f for f in findings if f.level.direction == direction]))
    for axes in grid[0]:  # the panels below share the scale
        low, high = axes.get_xlim()
        missing = max(0.0, _LEAST_POINTS - (high - low)) / 2
        axes.set_xlim(low - missing, high + missing)
    figure.align_ylabels(grid[:, 0])
    _explain_marks(figure)
    return figure


def _explain_marks(figure: "Figure") -> None:
    """A legend below the panels: each mark once, for a panel may lack some."""
    marks: dict[str, Artist] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        marks |= dict(zip(labels, handles, strict=True))
    handles, labels = list(marks.values()), list(marks)
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)


def _draw_panel(axes: "Axes", own: Sequence[Finding]) -> None:
    """A point for each level, from the top; no bar where there is no spread."""
    for is_default, colour, shape, label in (
        (False, _LEVEL, "o", "one setting changed"),
        (True, _DEFAULT, "D", "default setting"),
    ):
        chosen = [(y, f) for y, f in enumerate(own) if f.level.is_default == is_default]
        if chosen:
            axes.errorbar(
                [f.recall for _, f in chosen],
                [y for y, _ in chosen],
                xerr=[0.0 if math.isnan(f.sd) else f.sd for _, f in chosen],
                fmt=shape,
                color=colour,
                markersize=6,
                capsize=3,
                linewidth=1.5,
                label=label,
                zorder=3,
            )
    axes.set_yticks(range(len(own)), [f.level.label for f in own])
    axes.set_ylim(len(own) - 0.4, -0.6)
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_references(axes: "Axes", here: Sequence[Finding], default: str, unadapted: str) -> None:
    """Vertical lines through the panel at what the unadapted model and the default reach."""
    levels = {f.level.name: f.recall for f in here if f.level.group == REFERENCES}
    for name, colour, style in ((unadapted, _NONE, "--"), (default, _DEFAULT, ":")):
        if name in levels:
            axes.axvline(levels[name], color=colour, linestyle=style, linewidth=1.2, label=name)


def _scale(here: Sequence[Finding]) -> str:
    """What the horizontal axis of a direction shows."""
    count, seeds = here[0].corruptions, here[0].seeds
    mean = f"R@1 (%), mean of {count} corruptions" if count > 1 else "R@1 (%), one corruption"
    return f"{mean} ± sd over {seeds} seeds" if seeds > 1 else f"{mean}, one seed"
