"""Every setting of a benchmark run, checked when it is made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self

from reex_jax.corruptions.image.kinds import IMAGE_CORRUPTIONS
from reex_jax.corruptions.text.kinds import TEXT_SEVERITIES
from reex_jax.corruptions.text.sentence_prompts import SENTENCE_KINDS
from reex_jax.corruptions.text.sentences import how_to_make
from reex_jax.errors import UserError, unknown
from reex_jax.settings.adaptation import Adapt
from reex_jax.settings.checks import (
    Check,
    filled,
    filled_path,
    flag,
    folder_name,
    integer,
    integers,
    names,
    one_of,
    or_empty,
    shown,
    some_of,
    text,
)
from reex_jax.settings.choices import (
    DIRECTIONS,
    IMAGE_TO_TEXT,
    OFF,
    PRECISIONS,
    PUBLISHED,
    QUERY_OF,
    REPAIRED,
    RULES,
    TEXT_TO_IMAGE,
)
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.data import SCENES, Data
from reex_jax.settings.fields import Settings, section, setting
from reex_jax.settings.gallery import GallerySettings
from reex_jax.settings.machine import Machine
from reex_jax.settings.methods import METHODS, Methods
from reex_jax.settings.presets import CAPTION_FOLDERS, HIGHEST_SEVERITY
from reex_jax.settings.ranking import Ranking
from reex_jax.settings.recording import Recording
from reex_jax.settings.repair import RepairSettings


@dataclass(frozen=True)
class Variant:
    """A method with some settings changed, measured under a name of its own.

    Attributes:
        name: what `method` and tables call it.
        method: the method behind it.
        changes: settings of the method and of `adapt`, for both sorts of queries.
        group: what an ablation varies; "" elsewhere.
        label: the value it has here.
    """

    name: str
    method: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        """Checks the sorts of the values.

        Raises:
            UserError: naming the variant.
        """
        for key in ("name", "method"):
            filled(f"the {key} of a variant", getattr(self, key))
        for key in ("group", "label"):
            text(f"the {key} of variant {self.name!r}", getattr(self, key))
        if not isinstance(self.changes, Mapping) or not all(
            isinstance(name, str) for name in self.changes
        ):
            raise UserError(
                f"variant {self.name!r} changes {shown(self.changes)}; write settings and their "
                "values, for example {'k': 5}"
            )
        object.__setattr__(self, "changes", MappingProxyType(dict(self.changes)))


def _variants(key: str, value: Any) -> None:
    if not isinstance(value, list | tuple):
        raise UserError(f"{key} is {shown(value)}; it must be a list")
    for one in value:
        _variant(one)


def _variant(value: Any) -> Variant:
    if isinstance(value, Variant):
        return value
    known = Variant.__dataclass_fields__
    if not isinstance(value, Mapping) or not {"name", "method", "changes"} <= set(value):
        raise UserError(f"variants has {shown(value)}; each needs name, method and changes")
    for key in value:
        if key not in known:
            raise unknown("key of a variant:", key, known)
    return Variant(**value)


@dataclass(frozen=True)
class Experiment(Settings):
    """A benchmark run; by default the embedded one, clean queries, no adaptation."""

    name: str = setting("benchmark", "folder of its results", folder_name, counted=False)
    method: tuple[str, ...] = setting(
        ("none",), "methods, names of variants, or module:function", names
    )
    checkpoint: str = setting("bundled", "folder, hub id, or the bundled model", filled_path)
    revision: str = setting("", "branch, tag or commit of a hub id", text)
    precision: str = setting("auto", "of matrix products", one_of(PRECISIONS))
    data: Data = section(Data, "what is searched")
    directions: tuple[str, ...] = setting(
        DIRECTIONS, "who asks for what", some_of(DIRECTIONS, empty=False)
    )
    corruptions: Corruptions = section(Corruptions, "what the queries suffer")
    gsr: RepairSettings = section(RepairSettings, "how text queries are repaired")
    seeds: tuple[int, ...] = setting((0,), "of corruptions and of the queries' order", integers(0))
    max_queries: int = setting(0, "of a stream; 0 for all", integer(0))
    batch_size: int = setting(64, "queries that arrive together", integer(1, 65536))
    adapt: Adapt = section(Adapt, "how the query encoder is updated")
    rank: Ranking = section(Ranking, "how ranking corrects for hubs")
    gallery: GallerySettings = section(GallerySettings, "where the gallery lies")
    record: Recording = section(Recording, "what is written down beside the numbers")
    settings: Methods = section(Methods, "each method's own")
    variants: tuple[Variant, ...] = setting(
        (), "methods with some settings changed", Check("a list of variants", _variants)
    )
    machine: Machine = section(Machine, "where it runs")
    published: str = setting(
        "", "published numbers printed beside ours", one_of(PUBLISHED), counted=False
    )
    results: str = setting("results", "folder of all results", filled_path, counted=False)
    run_id: str = setting(
        "", "name of the run's folder; '': from the settings", or_empty(folder_name), counted=False
    )
    progress: bool = setting(True, "whether progress is shown", flag, counted=False)
    runlocal: bool = setting(False, "shrinks everything to a minute", flag, counted=False)

    def __post_init__(self) -> None:
        """Checks every value, and that they fit each other; mappings become variants."""
        _variants("variants", self.variants)
        object.__setattr__(self, "variants", tuple(map(_variant, self.variants)))
        super().__post_init__()

    def to_dict(self) -> dict[str, Any]:
        """Nested plain dictionaries, every value in them."""
        variants = tuple(vars(one) | {"changes": dict(one.changes)} for one in self.variants)
        return super().to_dict() | {"variants": variants}

    def check_together(self) -> None:
        """Refuses methods and severities that do not exist, and streams without any query."""
        self._check_methods()
        self._check_sentences()
        self._check_severities()
        if self.gsr.rewriter != OFF and TEXT_TO_IMAGE not in self.directions:
            raise UserError(
                f"gsr.rewriter is {self.gsr.rewriter!r}, but directions has no text_to_image, the "
                "one direction with text queries; add it, or set gsr.rewriter to ''"
            )
        for direction in self.directions:
            if not self.corruptions.clean and not self.kinds(direction):
                raise UserError(
                    f"{direction} has no stream: corruptions.clean is False and it has no "
                    "corruption"
                )

    def kinds(self, direction: str) -> tuple[str, ...]:
        """The corruptions of a direction's queries."""
        return self.corruptions.image if direction == IMAGE_TO_TEXT else self.corruptions.text

    def behind(self, name: str) -> Variant:
        """The variant that a name of `method` stands for; one without changes for a method.

        A name of `measured` does as well.
        """
        name = name.removesuffix(REPAIRED)
        found = [variant for variant in self.variants if variant.name == name]
        return found[0] if found else Variant(name, name)

    def severities(self, kind: str) -> tuple[int, ...]:
        """At which severities a corruption runs: sentence kinds of our own have only one."""
        alone = kind in SENTENCE_KINDS and not self.data.released_captions
        return (1,) if alone else self.corruptions.severities

    def repairs(self, direction: str) -> bool:
        """Whether queries of a direction come with repairs."""
        return self.gsr.rewriter != OFF and direction == TEXT_TO_IMAGE

    def measured(self, direction: str) -> tuple[str, ...]:
        """What rows of a direction are named by: `method`, and each with repair where both run."""
        both = self.repairs(direction) and self.gsr.compare
        return self.method + tuple(f"{name}{REPAIRED}" for name in self.method if both)

    def fuses(self, measured: str, direction: str) -> bool:
        """Whether a name of `measured` fuses queries with their repairs."""
        return self.repairs(direction) and (not self.gsr.compare or measured.endswith(REPAIRED))

    def own_settings(self, name: str, direction: str) -> dict[str, Any]:
        """The settings below `settings` of the method behind a name, changes included."""
        variant = self.behind(name)
        found = self.settings.of(variant.method.rpartition(":")[2], QUERY_OF[direction])
        values = found.to_dict() if isinstance(found, Settings) else dict(found)
        return values | dict(variant.changes)

    def shrunk(self) -> Self:
        """A copy that a laptop runs in seconds: 50 images, one corruption a modality, one seed.

        `severities` keeps its first value too.
        """
        few = replace(
            self.corruptions,
            image=self.corruptions.image[:1],
            text=self.corruptions.text[:1],
            severities=self.corruptions.severities[:1],
        )
        return replace(self, data=self.data.shrunk(), corruptions=few, seeds=self.seeds[:1])

    def _check_methods(self) -> None:
        labels = [variant.name for variant in self.variants]
        if len({*labels, *METHODS}) < len(labels) + len(METHODS):
            raise UserError(f"variants has the names {labels}; each must differ, also from methods")
        for name in (*self.method, *labels):
            if name.endswith(REPAIRED):
                raise UserError(f"{name!r} ends like rows of repaired queries; name it otherwise")
        for key, name in self._named():
            if name not in METHODS and ":" not in name:
                raise unknown(key, name, [*METHODS, *labels])
        functions = {name.rpartition(":")[2] for _, name in self._named() if ":" in name}
        for name in self.settings.own:
            if name not in functions:
                raise unknown("method below settings:", name, [*METHODS, *functions])

    def _named(self) -> Iterator[tuple[str, str]]:
        """(what names it, method) of everything that a run may ask for."""
        labels = {variant.name for variant in self.variants}
        yield from (("value of method:", name) for name in self.method if name not in labels)
        yield from ((f"method of variant {v.name!r}:", v.method) for v in self.variants)

    def _check_severities(self) -> None:
        for name in (*self.corruptions.image, *self.corruptions.text):
            high = self._highest_severity(name)
            too_high = [s for s in self.severities(name) if s > high]
            if too_high:
                raise UserError(
                    f"corruptions.severities has {too_high[0]}, but {name} ends at severity {high};"
                    " run it in an experiment of its own"
                )

    def _highest_severity(self, name: str) -> int:
        if name in IMAGE_CORRUPTIONS:
            return IMAGE_CORRUPTIONS[name].severities
        if self.data.released_captions and name in CAPTION_FOLDERS:
            return HIGHEST_SEVERITY  # the files that are missing are named when they are opened
        return TEXT_SEVERITIES[name]

    def _check_sentences(self) -> None:
        """Sentence kinds are read from exactly one place."""
        released, rewritten = self.data.released_captions, self.corruptions.sentences
        if rewritten == RULES and self.data.name != SCENES:
            raise UserError(
                f"corruptions.sentences is {RULES!r}, but only scenes have rules and data.name is "
                f"{self.data.name!r}; name a file of rewritten captions"
            )
        kinds = [name for name in self.corruptions.text if name in SENTENCE_KINDS]
        if kinds and not released and not rewritten:
            raise UserError(
                f"corruptions.text has {', '.join(kinds)}, but neither corruptions.sentences nor "
                f"data.released_captions says where the texts are; {how_to_make(kinds)}"
            )
        if kinds and released and rewritten:
            raise UserError(
                f"corruptions.text has {', '.join(kinds)}, and both corruptions.sentences "
                f"({rewritten!r}) and data.released_captions ({released!r}) say where the texts "
                "are; empty one of them"
            )
