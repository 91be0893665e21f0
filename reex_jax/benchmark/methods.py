"""The methods that a configuration asks for, each with its settings for a direction."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from reex_jax.adaptation.adapter import Adapter, choose_devices
from reex_jax.adaptation.make_method import make_method
from reex_jax.errors import UserError
from reex_jax.gsr.settings import OFF, fusion_settings
from reex_jax.models.clip.api import Clip
from reex_jax.retrieval.gallery import Gallery
from reex_jax.settings.choices import IMAGE_TO_TEXT, TEXT_TO_IMAGE


def method_settings(config: ConfigDict, method: str, direction: str) -> dict[str, Any]:
    """Every setting of a method on a direction's queries, as `Adapter` takes them.

    Those of `adapt`, and those below `settings.<method>`; a method of the user's own,
    "module:function", is found there by the function's name, and need not be there.
    """
    query = "image" if direction == IMAGE_TO_TEXT else "text"
    base, changes = find_variant(config, method)
    name = base.rpartition(":")[2]
    own = config.settings[name][query].to_dict() if name in config.settings else {}
    adapt = config.adapt
    return {
        "steps": adapt.steps,
        "rate_batch": adapt.rate_batch,
        "weight_decay": adapt.weight_decay,
        "parameters": adapt[f"{query}_parameters"],
        "score": adapt.score,
        "devices": adapt.devices,
        "batch_size": config.batch_size,
        **own,
        **changes,
    }


def find_variant(config: ConfigDict, method: str) -> tuple[str, Mapping[str, Any]]:
    """The method behind a name of `config.method`, and what a variant changes in its settings."""
    for variant in config.variants:
        if variant["name"] == method:
            return variant["method"], variant["changes"]
    return method, {}


def check_methods(config: ConfigDict) -> None:
    """Makes every method of the run once, so that an impossible setting is refused before any work.

    Raises:
        UserError: an unknown method or setting, a value that is not allowed, or devices that are
            not there or cannot share a batch.
    """
    choose_devices(config.adapt.devices, config.batch_size)
    for method in config.method:
        for direction in config.directions:
            try:
                base, _ = find_variant(config, method)
                make_method(base, method_settings(config, method, direction))
            except UserError as error:
                raise UserError(f"method {method}, {direction}: {error}") from error


def make_adapter(
    config: ConfigDict, clip: Clip, gallery: Gallery, method: str, direction: str
) -> Adapter:
    """The adapter with which the benchmark runs a method."""
    query = "image" if direction == IMAGE_TO_TEXT else "text"
    settings = method_settings(config, method, direction)
    if repairs_queries(config, direction):
        settings |= {"fusion": config.gsr.fusion, "fusion_settings": fusion_settings(config.gsr)}
    base, _ = find_variant(config, method)
    return Adapter(clip, gallery.embeddings, query=query, method=base, **settings)


def repairs_queries(config: ConfigDict, direction: str) -> bool:
    """Whether the queries of a direction come with repairs."""
    return config.gsr.rewriter != OFF and direction == TEXT_TO_IMAGE
