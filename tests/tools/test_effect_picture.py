import numpy as np
import pytest
from PIL import Image

from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError
from tools.effect_picture import Example, Group, draw, find_example


def test_the_picture_shows_every_number_and_answer():
    picture = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    examples = [Example(picture, f"kind_{i}", f"wrong {i}", f"right {i}") for i in range(3)]
    groups = [
        Group("pictures", 72.5, (("source model", 12.34), ("ReEx", 56.71))),
        Group("captions", 42.8, (("source model", 9.0), ("repaired", 8.0))),
    ]
    figure = draw(examples, groups)
    texts = {text.get_text() for text in figure.findobj() if hasattr(text, "get_text")}
    for expected in ("12.3", "56.7", "9.0", "8.0", "undamaged 72.5", "kind 2", "repaired"):
        assert expected in texts
    assert {"✗ source model: wrong 1", "✓ ReEx: right 1"} <= texts
    widths = [bar.get_width() for axes in figure.axes for bar in axes.patches]
    assert widths == [12.34, 56.71, 9.0, 8.0]


@pytest.mark.slow
def test_an_example_is_answered_by_the_adapted_model_alone():
    data = load_scenes(128)
    found = find_example(data, "gaussian_noise", start=64)
    owner = data.caption_image[data.captions.index(found.after)]
    assert owner >= 64 and found.before not in [data.captions[i] for i in data.captions_of(owner)]
    with pytest.raises(UserError, match="no query of brightness is answered"):
        find_example(data, "brightness", start=128)
