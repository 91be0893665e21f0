"""The methods that an experiment asks for, each with its settings for a direction."""

from typing import Any

from reex_jax.adaptation.adapter import Adapter, choose_devices
from reex_jax.adaptation.make_method import make_method
from reex_jax.errors import UserError
from reex_jax.models.two_tower import TwoTower
from reex_jax.retrieval.gallery import Gallery
from reex_jax.settings.adaptation import adapter_settings
from reex_jax.settings.choices import QUERY_OF, STREAMS
from reex_jax.settings.experiment import Experiment


def method_settings(experiment: Experiment, method: str, direction: str) -> dict[str, Any]:
    """Every setting of a method on a direction's queries, as `Adapter` takes them."""
    adapt = adapter_settings(experiment.adapt, QUERY_OF[direction], experiment.batch_size)
    return adapt | experiment.own_settings(method, direction)


def check_methods(experiment: Experiment) -> None:
    """Makes every method and variant once, so that what cannot be is refused before any work.

    Raises:
        UserError: an unknown setting, a value that is not allowed, a method of the user's own that
            is not there, or devices that are not there or cannot share a batch.
    """
    _check_devices(experiment)
    variants = (variant.name for variant in experiment.variants)
    for method in dict.fromkeys((*experiment.method, *variants)):
        for direction in experiment.directions:
            settings = method_settings(experiment, method, direction)
            try:
                make_method(experiment.behind(method).method, settings)
            except UserError as error:
                raise UserError(f"method {method}, {direction}: {error}") from error


def _check_devices(experiment: Experiment) -> None:
    if experiment.adapt.layout == STREAMS:
        if experiment.gallery.layout == "split":
            raise UserError(
                "gallery.layout is 'split', but with adapt.layout 'streams' every device searches "
                "all rows for streams of its own; take gallery.layout=copied"
            )
        choose_devices(experiment.adapt.devices, 0)  # every batch stays whole
        choose_devices(1, experiment.batch_size)  # of the adapter that lends what it has
    else:
        choose_devices(experiment.adapt.devices, experiment.batch_size)


def make_adapter(
    experiment: Experiment, model: TwoTower, gallery: Gallery, method: str, direction: str
) -> Adapter:
    """The adapter with which the benchmark runs a method."""
    settings = method_settings(experiment, method, direction)
    settings |= {"ranking": experiment.rank, "gallery_settings": experiment.gallery}
    if experiment.adapt.layout == STREAMS:
        settings["devices"] = 1  # it lends what it has to all others
    if experiment.fuses(method, direction):
        gsr = experiment.gsr
        settings |= {"fusion": gsr.fusion, "fusion_settings": gsr.fusion_settings}
    base = experiment.behind(method).method
    query = QUERY_OF[direction]
    return Adapter(model, gallery.embeddings, query=query, method=base, **settings)
