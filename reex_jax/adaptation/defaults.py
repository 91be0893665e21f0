"""The methods by name and their settings, as plain data: reading them needs no JAX."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from reex_jax.errors import UserError, unknown
from reex_jax.settings.checks import Check, filled, integer, number, one_of

QUERIES = ("image", "text")
"""What a query may be; the gallery holds the other."""

METHODS: Mapping[str, str] = MappingProxyType(
    {
        "none": "reex_jax.adaptation.methods.none:none",
        "tent": "reex_jax.adaptation.methods.tent:tent",
        "eata": "reex_jax.adaptation.methods.eata:eata",
        "sar": "reex_jax.adaptation.methods.sar:sar",
        "shot": "reex_jax.adaptation.methods.shot:shot",
        "read": "reex_jax.adaptation.methods.read:read",
        "deyo": "reex_jax.adaptation.methods.deyo:deyo",
        "tcr": "reex_jax.adaptation.methods.tcr:tcr",
        "rest": "reex_jax.adaptation.methods.rest:rest",
        "reex": "reex_jax.adaptation.methods.epcl:epcl",
    }
)
"""Where each method's objective is made: "module:function"."""

LEARNING_RATE = 3e-4

_TCR = {
    "temperature": 0.02,
    "share": 0.3,
    "batches": 10,
    "uniformity_weight": 1.0,
    "gap_weight": 1.0,
}
OWN_SETTINGS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "none": {},
        "tent": {"temperature": 0.01},
        "eata": {
            "temperature": 0.01,
            "entropy_share": 0.4,
            "redundancy": 0.05,
            "momentum": 0.9,
            "fisher_weight": 2000.0,
        },
        "sar": {
            "temperature": 0.01,
            "share": 0.4,
            "rho": 0.05,
            "momentum": 0.9,
            "restore_below": 0.2,
        },
        "shot": {
            "temperature": 0.01,
            "pseudo_label_weight": 0.1,
            "pseudo_label_above": 0.9,
        },
        "read": {"temperature": 0.01},
        "deyo": {
            "temperature": 0.01,
            "entropy_share": 0.5,
            "weight_share": 0.4,
            "drop_above": 0.2,
        },
        "tcr": _TCR,
        "rest": _TCR,
        "reex": {
            "k": 20,
            "p": 1,
            "pool": "batch",
            "strategy": "outside_top_k",
            "m": 50,
            "split": "both",
            "commit": "entropy",
            "relative_temperature": 3.0,
            "quantile": 0.5,
            "momentum": 0.9,
            "ambiguous_weight": 1.0,
            "uniformity_weight": 1.0,
            "gap_weight": 1.0,
            "source_decay": 0.0,
            "share": 0.3,
            "batches": 10,
        },
    }
)
"""Each method's own settings: the defaults of the function that makes it (tests compare them)."""


def default_settings() -> dict[str, dict[str, dict[str, Any]]]:
    """`settings.<method>.<image or text>.<setting>` of every method: its authors' values."""
    return {
        method: {query: {"learning_rate": LEARNING_RATE} | dict(own) for query in QUERIES}
        for method, own in OWN_SETTINGS.items()
    }


def adapt_defaults() -> dict[str, Any]:
    """Every key of `adapt`, with the protocol of TCR (ICLR 2025)."""
    return {
        "steps": 3,
        "rate_batch": 0,
        "weight_decay": 1e-4,
        "image_parameters": "layer_norms",
        "text_parameters": "block_layer_norms",
        "score": "last_forward",
        "stream": "reset",
        "devices": 1,
    }


PARAMETERS = ("layer_norms", "block_layer_norms", "all")
SCORES = ("last_forward", "before", "after")
PROTOCOLS = ("reset", "continual", "mixed")
ADAPT_CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "adapt.steps": integer(0, 1000),
        "adapt.rate_batch": integer(0),
        "adapt.weight_decay": number(0, 1),
        "adapt.image_parameters": one_of(PARAMETERS),
        "adapt.text_parameters": one_of(PARAMETERS),
        "adapt.score": one_of(SCORES),
        "adapt.stream": one_of(PROTOCOLS),
        "adapt.devices": integer(0, 4096),
    }
)


def setting_keys() -> list[str]:
    """Every key below `settings`, written with dots."""
    return [
        f"settings.{method}.{query}.{name}"
        for method, by_query in default_settings().items()
        for query, own in by_query.items()
        for name in own
    ]


def check_method_names(
    methods: Sequence[str], variants: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> None:
    """Refuses names that do not exist; values are checked where methods are made.

    Args:
        methods: `config.method`: names in METHODS, of variants, or "module:function".
        variants: `config.variants`: {"name", "method", "changes"} each.
        settings: `config.settings`, nested.

    Raises:
        UserError: naming the key and what is allowed.
    """
    labels = _variant_names(variants)
    for key, name in [
        *(("value of method:", name) for name in methods if name not in labels),
        *((f"method of variant {v['name']!r}:", v["method"]) for v in variants),
    ]:
        if name not in METHODS and ":" not in str(name):
            raise unknown(key, name, [*METHODS, *labels])
    known = default_settings()
    for method, by_query in settings.items():
        if not isinstance(by_query, Mapping) or set(by_query) != set(QUERIES):
            found = ", ".join(by_query) if isinstance(by_query, Mapping) else repr(by_query)
            raise UserError(
                f"settings.{method} has {found}; it must have {' and '.join(QUERIES)}, each with "
                "the settings for such queries"
            )
        if method in known:  # of a method of the user's own, its function knows the settings
            for query, own in by_query.items():
                _check_settings(f"settings.{method}.{query}", own, known[method][query])


def _variant_names(variants: Sequence[Mapping[str, Any]]) -> list[str]:
    if not isinstance(variants, list | tuple):
        raise UserError(f"variants is {variants!r}; it must be a list")
    for variant in variants:
        # More keys may say what else a variant is; an ablation has its group there.
        if not isinstance(variant, Mapping) or not {"name", "method", "changes"} <= set(variant):
            raise UserError(f"variants has {variant!r}; each needs name, method and changes")
        filled("the name of a variant", variant["name"])
        if not isinstance(variant["changes"], Mapping):
            raise UserError(
                f"variant {variant['name']!r} changes {variant['changes']!r}; write settings and "
                "their values, for example {'k': 5}"
            )
    labels = [variant["name"] for variant in variants]
    if len({*labels, *METHODS}) < len(labels) + len(METHODS):
        raise UserError(f"variants has the names {labels}; each must differ, also from methods")
    return labels


def _check_settings(key: str, own: Any, known: Mapping[str, Any]) -> None:
    if not isinstance(own, Mapping):
        raise UserError(f"{key} is {own!r}; it must hold settings: {', '.join(known)}")
    for name in own:
        if name not in known:
            raise unknown(f"key of {key}:", name, known)
