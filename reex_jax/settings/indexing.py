"""How an index is made: `build.*`."""

from dataclasses import dataclass

from reex_jax.settings.checks import integer, one_of, text
from reex_jax.settings.choices import MODES, PRECISIONS
from reex_jax.settings.fields import Settings, setting

DTYPES = ("float16", "float32")


@dataclass(frozen=True)
class Indexing(Settings):
    """How items become rows of an index (docs/index.md)."""

    dtype: str = setting("float16", "of the embeddings on disk", one_of(DTYPES))
    batch_size: int = setting(64, "items that go through the model at once", integer(1, 65536))
    devices: int = setting(0, "of this machine that embed; 0 for all", integer(0))
    workers: int = setting(2, "threads that read and prepare items", integer(0, 256))
    precision: str = setting("auto", "of matrix products", one_of(PRECISIONS))
    preprocessing: str = setting("clip", "as CLIP or TCR prepare items", one_of(MODES))
    thumbnail: int = setting(
        256, "longest side of thumbnails, in pixels; 0 for none", integer(0, 4096)
    )
    max_pixels: int = setting(89_000_000, "of a picture; larger ones are left out", integer(1))
    max_megabytes: int = setting(100, "of a picture's file; larger ones are left out", integer(1))
    prefix: str = setting("", "put in front of every id, for a second folder", text)
    split: str = setting("test", "which part of a prepared set", text)
