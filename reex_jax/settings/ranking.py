"""How ranking corrects for hubs: `rank.*`, and an `Adapter`'s `ranking`."""

from dataclasses import dataclass

from reex_jax.settings.checks import integer, number, one_of
from reex_jax.settings.fields import Settings, setting

CALIBRATIONS = ("inverted_softmax", "sinkhorn", "off")


@dataclass(frozen=True)
class Ranking(Settings):
    """What the stream says about the gallery, and what ranking does with it (docs/method.md)."""

    calibration: str = setting(
        "inverted_softmax", "how hubs are taken back in ranking", one_of(CALIBRATIONS)
    )
    relative_temperature: float = setting(
        2.0, "of the exponentials, in units of the model's own temperature", number(0, above=True)
    )
    prior: float = setting(16.0, "queries after which half of the correction counts", number(0))
    repeated_from: float = setting(
        0.998, "cosine from which a query repeats a recent one and is not counted", number(0, 1)
    )
    recent: int = setting(256, "queries that a new one is compared with", integer(1, 65536))
    shift_above: float = setting(
        4.0, "times the expected change of the mean query that is another sort; 0: never", number(0)
    )
