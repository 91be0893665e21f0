"""The demo index: generated scenes, in memory, with captions whose right answers are known."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError
from reex_jax.models.two_tower import TwoTower
from reex_jax.service.pictures import encoded

DEMO = "demo"
"""What stands for the demo index where a folder is expected."""


@dataclass(frozen=True)
class Demo:
    """Queries whose right answers are known.

    Attributes:
        data: scenes and their captions; an item's position is its scene's.
    """

    data: RetrievalSet = field(repr=False)

    def count(self, query: str) -> int:
        """How many queries there are."""
        return len(self.data.captions) if query == "text" else len(self.data.image_ids)

    def text(self, number: int) -> tuple[str, int]:
        """A caption, and the position of its scene.

        Raises:
            UserError: there is no such query.
        """
        self._check("text", number)
        return self.data.captions[number], int(self.data.caption_image[number])

    def picture(self, number: int) -> tuple[Image.Image, int]:
        """A scene, and its position.

        Raises:
            UserError: there is no such query.
        """
        self._check("image", number)
        return self.data.images[number], number

    def name(self, query: str, number: int) -> str:
        """The id of a query, from which its noise is drawn."""
        ids = self.data.caption_ids if query == "text" else self.data.image_ids
        return ids[number]

    def _check(self, query: str, number: int) -> None:
        if not 0 <= number < self.count(query):
            raise UserError(
                f"sample {number} is not there; give 0 to {self.count(query) - 1} for {query} "
                "queries"
            )


@dataclass(frozen=True, eq=False)
class DemoIndex:
    """Scenes as an index in memory, see `Searched`; each with the first of its captions."""

    ids: Sequence[str]
    captions: Sequence[str]
    embeddings: np.ndarray
    thumbnails: Sequence[bytes] = field(repr=False)
    modality: str = "image"

    def thumbnail(self, position: int) -> bytes | None:
        """The scene as PNG."""
        return self.thumbnails[position]

    def __len__(self) -> int:
        return len(self.ids)


def make_demo(model: TwoTower, scenes: int = 1000) -> tuple[DemoIndex, Demo]:
    """Draws and embeds scenes of the test split; a thousand take about five seconds.

    Args:
        model: embeds.
        scenes: how many.
    """
    data = load_scenes(scenes)
    pictures = [data.images[i] for i in range(scenes)]
    captions = [data.captions[int(data.captions_of(i)[0])] for i in range(scenes)]
    index = DemoIndex(
        data.image_ids, captions, model.encode_images(pictures), [*map(encoded, pictures)]
    )
    return index, Demo(data)
