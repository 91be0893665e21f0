"""Makes and keeps indexes: embeddings of many pictures or texts, ready to be searched.

    python -m reex_jax.index build --images=PICTURES --out=INDEX
    python -m reex_jax.index add --index=INDEX --images=MORE --build.prefix=more/
    python -m reex_jax.index remove --index=INDEX --ids=a.jpg,b.jpg
    python -m reex_jax.index verify --index=INDEX
    python -m reex_jax.index stats --index=INDEX

The same `build` again embeds only what is new or has changed, also after a kill.
"""

from collections.abc import Sequence
from pathlib import Path

from reex_jax.commands.arguments import Arguments
from reex_jax.errors import UserError, printable
from reex_jax.files import home
from reex_jax.index.build import FAULTS, Report, build
from reex_jax.index.identity import identity_of
from reex_jax.index.manifest import MANIFEST, Manifest, read_manifest
from reex_jax.index.opened import open_index
from reex_jax.index.sources import entries_of
from reex_jax.index.verify import faults_of, stats_of
from reex_jax.index.writer import IndexWriter
from reex_jax.models.folders import BUNDLED
from reex_jax.models.load import load_model
from reex_jax.models.two_tower import TwoTower
from reex_jax.settings.indexing import Indexing

_SHOWN = 10


def build_index(arguments: Arguments) -> None:
    """The command `index build`."""
    _fill(arguments, arguments.options["out"])


def add_to_index(arguments: Arguments) -> None:
    """The command `index add`."""
    read_manifest(arguments.options["index"])
    _fill(arguments, arguments.options["index"])


def _fill(arguments: Arguments, out: str) -> None:
    options, settings = arguments.options, arguments.settings
    modality, found = entries_of(options["images"], options["texts"], options["captions"], settings)
    settings, model, name = model_for(out, options["model"], settings)
    new = Manifest(identity_of(model, name), modality, settings.dtype)
    with IndexWriter(out, new) as writer:
        try:
            report = build(writer, model, found, settings)
        finally:
            _leave_nothing_empty(writer)
        print("\n".join(_told(report, writer)))


def model_for(out: str, given: str, settings: Indexing) -> tuple[Indexing, TwoTower, str | None]:
    """The model that was named, or else that of the index that is there, or else the bundled one.

    Returns:
        the settings, where they do not say otherwise with preprocessing and dtype of an index that
        is there; the model; and what it is called.

    Raises:
        UserError: the model is missing, or that of the index has moved.
    """
    there = read_manifest(out) if (home(out) / MANIFEST).is_file() else None
    name = given or (there.model.name if there else BUNDLED)
    if there is not None:
        own = {"preprocessing": there.model.preprocessing, "dtype": there.dtype}
        usual = Indexing().to_dict()
        settings = settings.replaced(
            {key: value for key, value in own.items() if getattr(settings, key) == usual[key]}
        )
    try:
        model = load_model(
            name,
            precision=settings.precision,
            preprocessing=settings.preprocessing,
            batch_size=settings.batch_size,
        )
    except UserError as error:
        if given or there is None:
            raise
        raise UserError(f"{error}; the index names it: say where it is now: --model") from error
    return settings, model, None if Path(name).is_dir() else name


def _leave_nothing_empty(writer: IndexWriter) -> None:
    """An index that never held anything goes away, so that the folder can be used otherwise."""
    if not writer.manifest.items and not (writer.folder / writer.manifest.rows).exists():
        (writer.folder / MANIFEST).unlink(missing_ok=True)


def _told(report: Report, writer: IndexWriter) -> list[str]:
    rate = f", {report.embedded / report.seconds:.3g} a second" if report.embedded else ""
    lines = [
        f"{writer.folder}: {writer.manifest.items} items; embedded {report.embedded}{rate} "
        f"({report.changed} had changed), passed over {report.unchanged} as they were"
    ]
    if report.gone:
        lines.append(f"{report.gone} items of the index are not in this source; they stay")
    if report.faults:
        lines.append(f"left out {len(report.faults)}, all of them in {writer.folder / FAULTS}:")
        lines += [f"  {_line(f.id)}: {_line(f.reason)}" for f in report.faults[:_SHOWN]]
    if len(report.faults) > _SHOWN:
        lines.append(f"  and {len(report.faults) - _SHOWN} more")
    return lines


def _line(text: str) -> str:
    return printable(text).replace("\n", "\\n")


def remove_from_index(arguments: Arguments) -> None:
    """The command `index remove`.

    Raises:
        UserError: no ids, ids that are not there (nothing is removed then), or all of them.
    """
    options = arguments.options
    with IndexWriter(options["index"]) as writer:
        ids = writer.rows.texts("ids").whole()
        gone = _named(options["ids"], options["ids_file"])
        if options["missing"]:
            places = writer.rows.texts("places").whole()
            gone += [name for name, place in zip(ids, places, strict=True) if not _there(place)]
            if not gone:
                print(f"{writer.folder}: every item is where it was; nothing to remove")
                return
        known = {name: position for position, name in enumerate(ids)}
        unknown = [name for name in gone if name not in known]
        if unknown:
            raise UserError(
                f"{writer.folder}: no item has the id {unknown[0]!r} ({len(unknown)} such ids); "
                "nothing was removed"
            )
        if not gone:
            raise UserError("nothing to remove: give --ids, --ids_file or --missing=true")
        if len(set(gone)) == len(ids):
            raise UserError(f"all items would be removed; delete {writer.folder} instead")
        writer.remove([known[name] for name in gone])
        print(f"{writer.folder}: removed {len(set(gone))}, {writer.manifest.items} items are left")


def _named(ids: str, file: str) -> list[str]:
    names = [name for name in ids.split(",") if name]
    if file:
        try:
            names += [line for line in home(file).read_text("utf-8").split("\n") if line]
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: cannot be read ({error})") from error
    return names


def _there(place: str) -> bool:
    """Whether the file that an item came from is still there; of shards, the shard."""
    return Path(place).exists() or Path(place.rpartition("#")[0]).is_file()


def verify_index(arguments: Arguments) -> None:
    """The command `index verify`.

    Raises:
        UserError: the index is damaged; lists the first faults.
    """
    index = open_index(arguments.options["index"])
    faults = list(faults_of(index))
    if faults:
        raise UserError(_damage(index.folder, faults))
    print(f"{index.folder}: {len(index)} items, all as they were written")


def _damage(folder: Path, faults: Sequence[str]) -> str:
    more = [f"  and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    lines = [f"{folder}: damaged; build it anew, or remove these items:", *faults[:_SHOWN], *more]
    return "\n".join(lines)


def show_stats(arguments: Arguments) -> None:
    """The command `index stats`."""
    index = open_index(arguments.options["index"])
    stats, model = stats_of(index), index.identity
    lines = [
        f"{index.folder}: {stats.items} items ({index.modality}), {stats.captions} with caption, "
        f"{stats.thumbnails} with thumbnail",
        f"model: {model.name}, weights {model.weights[:12]}, files {model.files[:12]}, "
        f"preprocessing {model.preprocessing}",
        f"embeddings: {model.dim} wide, {index.manifest.dtype}",
    ]
    if index.manifest.imported:
        lines.append(f"imported from {index.manifest.imported}")
    total = sum(stats.sizes.values())
    lines += [f"  {what:12}{size / 1e6:10.2f} MB" for what, size in stats.sizes.items()]
    lines.append(
        f"  {'together':12}{total / 1e6:10.2f} MB, {total / stats.items:.0f} bytes an item"
    )
    print("\n".join(lines))
