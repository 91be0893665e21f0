"""Where the gallery lies and how: `gallery.*`, and an `Adapter`'s `gallery_settings`."""

from dataclasses import dataclass

from reex_jax.settings.checks import integer, one_of
from reex_jax.settings.fields import Settings, setting

LAYOUTS = ("copied", "split")
STORAGES = ("float32", "bfloat16")


@dataclass(frozen=True)
class GallerySettings(Settings):
    """How the devices that share a batch hold the gallery (docs/scale.md)."""

    layout: str = setting(
        "copied", "every device holds all of it, or each a part", one_of(LAYOUTS), counted=False
    )
    storage: str = setting("float32", "of its numbers; bfloat16 takes half", one_of(STORAGES))
    spare: int = setting(
        0, "places kept free, so that new items need no new program", integer(0), counted=False
    )
