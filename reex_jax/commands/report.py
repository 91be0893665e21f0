"""The command `report`: results folders as one page, or their table for a paper."""

from pathlib import Path

from reex_jax.benchmark.ablation import ablation_levels, check_ablation
from reex_jax.commands.arguments import Arguments
from reex_jax.errors import UserError, unknown
from reex_jax.files import home
from reex_jax.reporting.ablation_report import REFERENCES
from reex_jax.reporting.joined import Results, read_results
from reex_jax.reporting.page.page import Levels, build_page
from reex_jax.reporting.page.plots import Level
from reex_jax.reporting.table_export import FORMATS
from reex_jax.settings.experiment import Experiment

_DEFAULT = "report.html"


def report(arguments: Arguments) -> None:
    """Writes the page, or prints the table."""
    wanted, out = arguments.options["table"], arguments.options["out"]
    if wanted and wanted not in FORMATS:
        raise unknown("value of --table:", wanted, FORMATS)
    groups, notes = read_results(arguments.places)
    if wanted:
        text = "\n\n".join(FORMATS[wanted](group.rows) for group in groups) + "\n"
        if not out:
            print(text, end="")
            return
    else:
        title = "Results: " + ", ".join(dict.fromkeys(group.name for group in groups))
        text = build_page(groups, notes, [varied(group) for group in groups], title)
    for note in [*notes, *(note for group in groups for note in group.notes)]:
        print(f"note: {note}")
    path = Path(home(out or _DEFAULT))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); name another --out"
        ) from error
    print(f"wrote {path} ({len(text.encode()) / 1e6:.1f} MB): {_counted(groups)}")


def varied(group: Results) -> Levels:
    """Direction -> what the folders' ablation varied, the size of exclusion sets first.

    Empty where nothing was varied, or where the settings are of another version.
    """
    try:
        experiment = Experiment.from_dict(dict(group.configs[0]))
        if not any(variant.group for variant in experiment.variants):
            return {}
        check_ablation(experiment)
    except UserError as error:
        if any(variant.get("group") for variant in group.configs[0].get("variants", ())):
            group.notes.append(f"the ablation is not drawn, its settings are not today's: {error}")
        return {}
    measured = list(dict.fromkeys(row["method"] for row in group.rows))
    default = next(v.method for v in experiment.variants if v.name in experiment.method)
    found: dict[str, list[Level]] = {}
    for one in ablation_levels(experiment, measured):
        if one.group != REFERENCES:
            name = default if one.is_default else one.name
            own = found.setdefault(one.direction, [])
            own.append(Level(one.group, one.label, name, one.is_default))
    for own in found.values():
        own.sort(key=lambda level: level.group != "k")
    return found


def _counted(groups: list[Results]) -> str:
    rows = sum(len(group.rows) for group in groups)
    folders = sum(len(group.folders) for group in groups)
    return f"{rows:,} streams of {folders} folder" + "s" * (folders > 1)
