"""The adaptation methods by name, each with a class of its settings: `settings.*`.

The defaults are those of the authors; docs/method.md names the papers. A temperature stands in
units of the model's own (1 / exp(logit_scale), 0.01 for OpenAI's CLIP), so that it means the same
for every model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar, cast

from reex_jax.errors import UserError
from reex_jax.settings.checks import integer, number, one_of, shown, unknown_key
from reex_jax.settings.choices import QUERIES
from reex_jax.settings.fields import Settings, setting

LEARNING_RATE = 3e-4
"""TCR's."""

POSITIVE = number(0, above=True)
RATE = number(0, 1, above=True)
"""Adam moves a parameter by about the rate at every step, and the scales of LayerNorms are about 1:
a larger rate leaves nothing of the model, and what the guard puts back is ruined anew."""
WEIGHT = number(0)
SHARE = number(0, 1)


@dataclass(frozen=True)
class Method(Settings):
    """What every method that learns has."""

    learning_rate: float = setting(LEARNING_RATE, "of AdamW", RATE)


def temperature(default: float, of: str = "the softmax over the gallery") -> float:
    """The setting `relative_temperature` of a method."""
    return setting(default, f"of {of}, in units of the model's own temperature", POSITIVE)


@dataclass(frozen=True)
class Unadapted(Settings):
    """`none`: the source model, to which every method is compared."""


@dataclass(frozen=True)
class Tent(Method):
    """See `adaptation.methods.tent`."""

    relative_temperature: float = temperature(1.0)


@dataclass(frozen=True)
class Eata(Method):
    """See `adaptation.methods.eata`."""

    relative_temperature: float = temperature(1.0)
    entropy_share: float = setting(0.4, "largest entropy that learns, in units of log N", SHARE)
    redundancy: float = setting(0.05, "cosine from which a prediction is redundant", SHARE)
    momentum: float = setting(0.9, "of the moving mean prediction", SHARE)
    fisher_weight: float = setting(2000.0, "of the anchor at the source", WEIGHT)


@dataclass(frozen=True)
class Sar(Method):
    """See `adaptation.methods.sar`."""

    relative_temperature: float = temperature(1.0)
    share: float = setting(0.4, "of the batch that the first pass takes", SHARE)
    rho: float = setting(0.05, "length of the climb", POSITIVE)
    momentum: float = setting(0.9, "of the moving average of the second loss", SHARE)
    restore_below: float = setting(0.2, "average below which all is put back", WEIGHT)


@dataclass(frozen=True)
class Shot(Method):
    """See `adaptation.methods.shot`."""

    relative_temperature: float = temperature(1.0)
    pseudo_label_weight: float = setting(0.1, "of the cross-entropy to pseudo-labels", WEIGHT)
    pseudo_label_above: float = setting(0.9, "probability from which one counts", SHARE)


@dataclass(frozen=True)
class Read(Method):
    """See `adaptation.methods.read`."""

    relative_temperature: float = temperature(1.0)


@dataclass(frozen=True)
class Deyo(Method):
    """See `adaptation.methods.deyo`."""

    relative_temperature: float = temperature(1.0)
    entropy_share: float = setting(0.5, "largest entropy that learns, in units of log N", SHARE)
    weight_share: float = setting(0.4, "entropy of weight 1, in units of log N", SHARE)
    drop_above: float = setting(0.2, "smallest drop in probability that learns", SHARE)


@dataclass(frozen=True)
class Tcr(Method):
    """See `adaptation.methods.tcr`."""

    relative_temperature: float = temperature(2.0, "the softmax over the batch's candidates")
    share: float = setting(0.3, "of each batch offered to the source-like pairs", SHARE)
    batches: int = setting(10, "how many batches fill their memory", integer(1))
    uniformity_weight: float = setting(1.0, "of UNI", WEIGHT)
    gap_weight: float = setting(1.0, "of EMG", WEIGHT)


@dataclass(frozen=True)
class Rest(Tcr):
    """See `adaptation.methods.rest`; experimental."""


POOLS = ("batch", "gallery")
STRATEGIES = ("outside_top_k", "next_m", "bottom_m", "random_m")
SPLITS = ("both", "confident", "ambiguous", "none")
COMMITS = ("entropy", "proxy")


@dataclass(frozen=True)
class Reex(Method):
    """See `adaptation.methods.epcl`; the defaults are ours, for any model and any data."""

    learning_rate: float = setting(3e-2, "of Adam", RATE)

    k: int = setting(20, "size of the plausible set; 0: all others are negatives", integer(0))
    p: int = setting(1, "the proxy is the mean of so many nearest items", integer(1))
    pool: str = setting("batch", "candidates: proxies of the batch, or the gallery", one_of(POOLS))
    strategy: str = setting(
        "outside_top_k", "which implausible candidates are excluded", one_of(STRATEGIES)
    )
    m: int = setting(50, "how many, for the strategies that choose", integer(1))
    split: str = setting("both", "which queries learn", one_of(SPLITS))
    commit: str = setting("entropy", "what confident queries minimise", one_of(COMMITS))
    memory: int = setting(56, "candidates of recent queries", integer(0, 65536))
    calibrated: bool = setting(True, "whether scores are calibrated inside the loss")
    relative_temperature: float = temperature(2.0, "the contrast")
    quantile: float = setting(0.0, "of entropies, up to which queries are confident", SHARE)
    ambiguous_weight: float = setting(1.0, "of the ambiguous queries' loss", WEIGHT)
    uniformity_weight: float = setting(1.0, "of TCR's UNI", WEIGHT)
    gap_weight: float = setting(0.0, "of TCR's EMG", WEIGHT)
    adam_eps: float = setting(1e-2, "of Adam; large ones make small gradients small steps", WEIGHT)
    full_batch: int = setting(64, "batch size from which the whole rate counts", integer(1))
    restart: bool = setting(True, "whether another sort of queries puts the source back")
    source_decay: float = setting(0.03, "share of the way back to the source, each step", SHARE)
    share: float = setting(0.3, "of each batch offered to the source-like pairs", SHARE)
    batches: int = setting(10, "how many batches fill their memory", integer(1))


M = TypeVar("M", bound=Settings)


@dataclass(frozen=True)
class PerQuery(Settings, Generic[M]):
    """One method's settings for image queries and for text queries."""

    image: M
    text: M


def _method(kind: type[M], home: str, **text: Any) -> PerQuery[M]:
    """A method's line in `Methods`: its class of settings, and where its objective is made.

    `text` are the defaults that differ for text queries.
    """
    line: Any = field(
        default_factory=lambda: PerQuery(kind(), kind(**text)),
        metadata={"home": home, "kind": kind},
    )
    return cast(PerQuery[M], line)


_HOME = "reex_jax.adaptation.methods"


@dataclass(frozen=True)
class Methods(Settings):
    """`settings.<method>.<image or text>.<setting>` of every method.

    `own` holds the settings of methods of the user's own ("module:function") by the name of their
    function, as plain mappings; what these may hold, the function's class of settings says.
    """

    none: PerQuery[Unadapted] = _method(Unadapted, f"{_HOME}.none:none")
    tent: PerQuery[Tent] = _method(Tent, f"{_HOME}.tent:tent")
    eata: PerQuery[Eata] = _method(Eata, f"{_HOME}.eata:eata")
    sar: PerQuery[Sar] = _method(Sar, f"{_HOME}.sar:sar")
    shot: PerQuery[Shot] = _method(Shot, f"{_HOME}.shot:shot")
    read: PerQuery[Read] = _method(Read, f"{_HOME}.read:read")
    deyo: PerQuery[Deyo] = _method(Deyo, f"{_HOME}.deyo:deyo")
    tcr: PerQuery[Tcr] = _method(Tcr, f"{_HOME}.tcr:tcr")
    rest: PerQuery[Rest] = _method(Rest, f"{_HOME}.rest:rest")
    reex: PerQuery[Reex] = _method(Reex, f"{_HOME}.epcl:epcl", learning_rate=3e-3)
    own: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks that each method has settings of its own class."""
        for one in fields(self):
            if one.name == "own":
                _check_own(self.own)
                continue
            value, kind = getattr(self, one.name), one.metadata["kind"]
            for query in QUERIES:
                found = getattr(value, query, value)
                if type(found) is not kind:
                    key = f"settings.{one.name}.{query}"
                    raise UserError(f"{key} is {shown(found)}; it must be {kind.__name__}(...)")

    def replaced(self, values: Any, prefix: str = "settings.") -> Self:
        """A copy with other values; methods that are not ours go into `own`."""
        if not isinstance(values, Mapping):
            raise UserError(f"settings is {shown(values)}; it must hold methods")
        changed: dict[str, Any] = {}
        own = dict(self.own)
        for name, value in values.items():
            key = f"{prefix}{name}"
            if name in METHODS:
                changed[name] = getattr(self, name).replaced(value, f"{key}.")
            elif isinstance(name, str):
                own[name] = value
            else:
                raise unknown_key(key, [f"{prefix}{method}" for method in METHODS])
        return replace(self, **changed, own=own)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain dictionaries; methods of the user's own stand beside ours."""
        ours = {name: getattr(self, name).to_dict() for name in METHODS}
        return ours | {name: dict(value) for name, value in self.own.items()}

    def of(self, name: str, query: str) -> Settings | Mapping[str, Any]:
        """The settings of a method for "image" or "text" queries; {} where there are none."""
        if name in METHODS:
            return cast(Settings, getattr(getattr(self, name), query))
        return cast(Mapping[str, Any], self.own.get(name, {}).get(query, {}))


METHODS: Mapping[str, str] = MappingProxyType(
    {one.name: one.metadata["home"] for one in fields(Methods) if one.name != "own"}
)
"""Where each method's objective is made: "module:function"."""


def _check_own(own: Any) -> None:
    for name, by_query in own.items():
        if not isinstance(by_query, Mapping) or not set(by_query) <= set(QUERIES):
            raise UserError(
                f"settings.{name} is {shown(by_query)}; it must hold {' and '.join(QUERIES)}, each "
                "with the settings for such queries"
            )
        for query, values in by_query.items():
            if not isinstance(values, Mapping) or not all(isinstance(k, str) for k in values):
                raise UserError(
                    f"settings.{name}.{query} is {shown(values)}; it must hold settings"
                )
