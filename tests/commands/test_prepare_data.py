"""A data set written for TensorFlow Datasets says how it is read, and reads the same."""

import pytest

from reex_jax.commands.prepare_data import write_data
from reex_jax.datasets.karpathy import load_karpathy
from reex_jax.datasets.tfds_reader import load_tfds
from reex_jax.errors import UserError
from reex_jax.settings.data import Data

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorflow_datasets")


def test_a_prepared_set(tiny_coco, tmp_path, capsys):
    folder = write_data(Data(name="karpathy", preset="coco", root=str(tiny_coco)), tmp_path)
    assert folder == tmp_path / "coco_test" / "1.0.0"
    assert (
        f"wrote {folder}: 20 images, 100 captions; read it with --config.data.name=tfds "
        f"--config.data.root={folder} --config.data.split=test\n"
    ) in capsys.readouterr().out
    data = load_karpathy(tiny_coco, preset="coco")
    assert load_tfds(folder).caption_ids == data.caption_ids


def test_the_name_may_be_chosen(tmp_path):
    folder = write_data(Data(num_images=2, split="tune"), tmp_path, "mine")
    assert (
        folder == tmp_path / "mine" / "1.0.0" and len(load_tfds(folder, split="tune").images) == 2
    )


def test_a_set_of_which_nobody_said_where_it_lies(tmp_path):
    with pytest.raises(UserError, match=r"data\.name is 'folder', so data\.root must"):
        write_data(Data(name="folder"), tmp_path)
