"""The picture of README.md: what damage does to retrieval, and what is won back, as measured.

python -m tools.effect_picture docs/effect.png

Runs the demo's image queries and two kinds of typing errors, with and without repair (results/, a
few minutes; what was measured before is not measured again), and draws recall@1 beside three
queries that the adapted model answers and the source model does not.
"""

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from absl import app
from PIL import Image

from reex_jax.adaptation.adapter import Adapter
from reex_jax.benchmark.run import run_benchmark
from reex_jax.commands.experiment_file import load_experiment
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError
from reex_jax.models.load import load_model
from reex_jax.queries.own import own_query
from reex_jax.queries.streams import Stream
from reex_jax.reporting.rows import Row, by_ranking
from reex_jax.reporting.table import means_by_seed
from reex_jax.settings.choices import CLEAN, IMAGE_TO_TEXT, TEXT_TO_IMAGE
from reex_jax.settings.experiment import Experiment
from reex_jax.settings.ranking import Ranking

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXPERIMENT = "experiments/scenes_c.py:demo"
EXAMPLES = ("gaussian_noise", "motion_blur", "jpeg_compression")
TYPING = ("keyboard", "swap")
# Okabe and Ito's, which people with any kind of colour vision tell apart; marks differ too.
_BAD, _GOOD, _GREY = "#D55E00", "#0072B2", "#666666"
_BATCH, _SEVERITY = 64, 5


@dataclass(frozen=True)
class Example:
    """A query and its two best answers.

    Attributes:
        picture: the damaged query.
        kind: of damage.
        before: the caption that the source model ranks first, which is of another picture.
        after: the one that the adapted model ranks first, which is the picture's own.
    """

    picture: Image.Image
    kind: str
    before: str
    after: str


def find_example(data: RetrievalSet, kind: str, start: int) -> Example:
    """The first query, from `start` on, that only the adapted model answers, by a short caption.

    Both models see all queries of the stream from the first one on, in batches of 64.

    Args:
        data: whose images ask for captions.
        kind: of image corruption.
        start: position of the first query that may be taken, so that something was learned.

    Raises:
        UserError: there is none.
    """
    model = load_model()
    gallery, stream = model.encode_texts(data.captions), Stream(IMAGE_TO_TEXT, kind, _SEVERITY, 0)
    source = Adapter(
        model, gallery, query="image", method="none", ranking=Ranking(calibration="off")
    )
    adapted = Adapter(model, gallery, query="image", method="reex")
    for first in range(0, len(data.images) - _BATCH + 1, _BATCH):
        places = range(first, first + _BATCH)
        pictures = [own_query(data, stream, place) for place in places]
        found = zip(
            places,
            pictures,
            source.search(pictures, k=1).indices[:, 0],
            adapted.search(pictures, k=1).indices[:, 0],
            strict=True,
        )
        for place, picture, before, after in found:
            owners = data.caption_image[[before, after]]
            texts = [data.captions[before], data.captions[after]]
            short = max(map(len, texts)) <= 80
            if place >= start and short and owners[0] != place and owners[1] == place:
                assert isinstance(picture, Image.Image)
                return Example(picture, kind, *texts)
    raise UserError(f"no query of {kind} is answered by the adapted model alone")


@dataclass(frozen=True)
class Group:
    """A block of bars.

    Attributes:
        title: what asks.
        clean: recall@1 of the source model where nothing is damaged.
        bars: (how it is searched, recall@1), the source model first.
    """

    title: str
    clean: float
    bars: tuple[tuple[str, float], ...]


def measure(results: str) -> list[Group]:
    """What is drawn, from runs that are kept in `results`."""
    demo = replace(load_experiment(EXPERIMENT, Experiment, EXPERIMENT), results=results)
    images = replace(demo, directions=(IMAGE_TO_TEXT,))
    typed = replace(
        demo,
        method=("none",),
        directions=(TEXT_TO_IMAGE,),
        corruptions=replace(demo.corruptions, text=TYPING),
    )
    repaired = replace(typed, gsr=replace(typed.gsr, rewriter="channel"))
    rows = by_ranking(run_benchmark(images)[1])
    plain, mended = (by_ranking(run_benchmark(one)[1]) for one in (typed, repaired))
    kinds = ", ".join(kind.partition("_")[0] for kind in images.corruptions.image)
    ways = {"source model": "none", "calibrated ranking": "none, calibrated"}
    ways["ReEx, calibrated"] = "reex, calibrated"
    return [
        Group(
            f"damaged pictures ({kinds})",
            _clean(rows),
            tuple((way, _mean(rows, method)) for way, method in ways.items()),
        ),
        Group(
            f"mistyped captions ({', '.join(TYPING)})",
            _clean(plain),
            (("source model", _mean(plain, "none")), ("repaired", _mean(mended, "none"))),
        ),
    ]


def _clean(rows: Sequence[Row]) -> float:
    own = [row for row in rows if row["method"] == "none" and row["corruption"] == CLEAN]
    return float(np.mean(means_by_seed(own, "recall@1")))


def _mean(rows: Sequence[Row], method: str) -> float:
    own = [row for row in rows if row["method"] == method and row["corruption"] != CLEAN]
    return float(np.mean(means_by_seed(own, "recall@1")))


def draw(examples: Sequence[Example], groups: Sequence[Group]) -> "Figure":
    """The examples on the left, a block of bars for each group on the right.

    No state of matplotlib's is changed: the figure belongs to no window and no registry.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subfigures(1, 2, width_ratios=(1.25, 1))
    for axes, example in zip(
        left.subplots(len(examples), 2, width_ratios=(1, 2.9)), examples, strict=True
    ):
        _draw_example(axes, example)
    left.suptitle("A damaged picture looks for its caption", fontsize=11)
    heights = [len(group.bars) for group in groups]
    for axes, group in zip(
        right.subplots(len(groups), 1, sharex=True, height_ratios=heights), groups, strict=True
    ):
        _draw_bars(axes, group)
    axes.set_xlabel("found first (recall@1, %)")
    right.suptitle("1,000 queries a kind of damage, severity 5", fontsize=11)
    return figure


def _draw_example(axes: Sequence["Axes"], example: Example) -> None:
    picture, text = axes
    # Pixels as they are: no smoothing that would hide the damage.
    picture.imshow(np.asarray(example.picture), interpolation="nearest")
    picture.set_title(example.kind.replace("_", " "), fontsize=8, pad=3)
    for one in axes:
        one.set_axis_off()
    lines = (
        (0.95, f"✗ source model: {example.before}", _BAD),
        (0.45, f"✓ ReEx: {example.after}", _GOOD),
    )
    for height, line, colour in lines:
        text.text(0, height, textwrap.fill(line, 46), color=colour, fontsize=9, va="top")


def _draw_bars(axes: "Axes", group: Group) -> None:
    names, values = zip(*group.bars, strict=True)
    colours = [_GREY, *(len(values) - 1) * [_GOOD]]
    drawn = axes.barh(range(len(values)), values, color=colours, height=0.7)
    axes.bar_label(drawn, fmt="%.1f", padding=-28, fontsize=9, color="white", weight="bold")
    axes.axvline(group.clean, color="black", linestyle="--", linewidth=1)
    # On the side of the line that has room.
    side, shift = ("right", -0.8) if group.clean > 60 else ("left", 0.8)
    axes.text(group.clean + shift, 0, f"undamaged {group.clean:.1f}", ha=side, fontsize=8)
    axes.set_yticks(range(len(values)), names, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 80)
    axes.set_title(group.title, fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def main(argv: list[str]) -> None:
    """Writes the picture to the file named on the command line."""
    if len(argv) != 2:
        raise app.UsageError("name the file to write, for example docs/effect.png")
    try:
        groups = measure("results")
        data = load_scenes()
        examples = [find_example(data, kind, start=256) for kind in EXAMPLES]
    except UserError as error:
        sys.exit(f"error: {error}")
    draw(examples, groups).savefig(Path(argv[1]), dpi=160)
    print(f"wrote {argv[1]}")


if __name__ == "__main__":
    app.run(main)
