"""What a run writes down beside its numbers: `record.*`; it changes none of them."""

from dataclasses import dataclass

from reex_jax.settings.checks import flag, integer
from reex_jax.settings.fields import Settings, setting


@dataclass(frozen=True)
class Recording(Settings):
    """Small files beside each stream's numbers, which the report shows (docs/report.md)."""

    details: bool = setting(
        True, "whether batches, hubs, confidence and examples are kept", flag, counted=False
    )
    clean_queries: int = setting(
        64,
        "clean queries asked now and then with the parameters of the moment; 0 for none",
        integer(0, 4096),
        counted=False,
    )
    examples: int = setting(
        6, "queries of a stream kept with what they found", integer(0, 64), counted=False
    )
    wandb: bool = setting(
        False, "whether curves go to Weights & Biases too, if it is installed", flag, counted=False
    )
