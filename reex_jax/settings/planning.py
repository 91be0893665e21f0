"""What a plan of memory is made for: `plan.*`."""

from dataclasses import dataclass

from reex_jax.settings.checks import filled_path, integer, number, one_of
from reex_jax.settings.choices import QUERIES
from reex_jax.settings.fields import Settings, setting
from reex_jax.settings.gallery import LAYOUTS, STORAGES
from reex_jax.settings.methods import METHODS


@dataclass(frozen=True)
class Planning(Settings):
    """Which adapter is to fit on which devices."""

    checkpoint: str = setting("bundled", "folder, hub id, or the bundled model", filled_path)
    query: str = setting("image", "what asks", one_of(QUERIES))
    method: str = setting("reex", "what adapts", one_of(tuple(METHODS)))
    batch_size: int = setting(64, "queries that arrive together", integer(1, 65536))
    steps: int = setting(3, "updates for each batch", integer(0, 1000))
    items: int = setting(1_000_000, "in the gallery", integer(1, 2**31 - 1))
    width: int = setting(0, "of the embeddings; 0 for the model's own", integer(0, 65536))
    layout: str = setting("copied", "every device holds all, or each a part", one_of(LAYOUTS))
    storage: str = setting("float32", "of the gallery's numbers", one_of(STORAGES))
    devices: int = setting(1, "that share a batch", integer(1, 4096))
    device_gb: float = setting(80.0, "memory of each device, 10^9 bytes", number(0, above=True))
