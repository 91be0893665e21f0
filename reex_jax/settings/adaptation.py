"""How the query encoder is updated, whatever the method: `adapt.*`, and an `Adapter`'s own."""

from dataclasses import dataclass, fields
from typing import Any

from reex_jax.errors import UserError
from reex_jax.settings.checks import LARGE, integer, number, one_of
from reex_jax.settings.choices import LAYOUTS, PARAMETERS, PROTOCOLS, REMATS, SCORES, STREAMS
from reex_jax.settings.fields import Settings, setting


@dataclass(frozen=True)
class SharedSettings(Settings):
    """What a run and an `Adapter` have in common; the defaults are TCR's protocol (ICLR 2025)."""

    steps: int = setting(3, "updates for each batch; 0 never updates", integer(0, 1000))
    rate_batch: int = setting(
        0, "batch size the rate is meant for; smaller ones step less; 0: as it is", integer(0)
    )
    weight_decay: float = setting(1e-4, "of AdamW, decoupled", number(0, 1))
    score: str = setting("last_forward", "which embeddings are ranked", one_of(SCORES))
    last_layers: int = setting(
        0, "how many of the last blocks adapt, with what follows them; 0: all", integer(0, 4096)
    )
    remat: str = setting(
        "dots",
        "what gradients compute again to save memory; dots: all but products with weights",
        one_of(REMATS),
        counted=False,
    )
    devices: int = setting(
        1,
        "how many of each process share a batch; 0: all",
        integer(0, 4096),
        counted=False,
    )


@dataclass(frozen=True)
class Adapt(SharedSettings):
    """`adapt.*` of a run."""

    image_parameters: str = setting(
        "layer_norms", "what adapts for image queries", one_of(PARAMETERS)
    )
    text_parameters: str = setting(
        "block_layer_norms", "what adapts for text queries", one_of(PARAMETERS)
    )
    stream: str = setting("reset", "in which passes a method sees the streams", one_of(PROTOCOLS))
    layout: str = setting(
        "queries",
        "what devices share: one stream's queries, or streams, several of them at once",
        one_of(LAYOUTS),
        counted=False,
    )
    streams: int = setting(
        0,
        "streams at once on each device, with layout streams; 0: what its memory holds",
        integer(0, 4096),
        counted=False,
    )

    def check_together(self) -> None:
        """Refuses streams side by side where one begins with what another has learned."""
        if self.layout == STREAMS and self.stream == "continual":
            raise UserError(
                "adapt.layout is 'streams', but with adapt.stream 'continual' each stream needs "
                "what the one before has learned; take layout 'queries', or stream 'reset' or "
                "'mixed'"
            )
        if self.streams and self.layout != STREAMS:
            raise UserError(
                f"adapt.streams is {self.streams}, but adapt.layout is {self.layout!r}, which runs "
                "one stream after the other; set adapt.layout to 'streams'"
            )


@dataclass(frozen=True)
class AdaptSettings(SharedSettings):
    """Of one `Adapter`.

    `parameters`: "layer_norms" are scales and biases of all LayerNorms of the query encoder,
    "block_layer_norms" not those outside the blocks, "all" is every parameter. `score`:
    "last_forward" are the embeddings of the last step's forward pass, after steps - 1 updates on
    this batch; "before" has seen no update on this batch yet; "after" is one more forward pass.
    """

    parameters: str = setting("layer_norms", "what adapts", one_of(PARAMETERS))
    batch_size: int = setting(64, "largest number of queries in a batch", integer(1, 65536))
    seed: int = setting(0, "of whatever a method draws at random", integer(0, LARGE))


def adapter_settings(adapt: Adapt, query: str, batch_size: int) -> dict[str, Any]:
    """What a run says of the `Adapter` for its "image" or "text" queries, by name."""
    shared = {one.name: getattr(adapt, one.name) for one in fields(SharedSettings)}
    return shared | {
        "parameters": getattr(adapt, f"{query}_parameters"),
        "batch_size": batch_size,
    }
