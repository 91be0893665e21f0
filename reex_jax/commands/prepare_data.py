"""Turns a data set into one file format that is read fast and without TensorFlow.

    python -m reex_jax prepare-data --out=/data/tfds \\
        --data.name=karpathy --data.preset=coco --data.root=/data/coco

Writes /data/tfds/<name>/1.0.0/ for TensorFlow Datasets (array_record): the images as they are, ids
and order kept, and says how a run reads it. The keys of `data` are those of a run's configuration.
"""

import re
from pathlib import Path

from reex_jax.commands.arguments import Arguments
from reex_jax.datasets.load import load_data
from reex_jax.settings.data import Data


def prepare_data(arguments: Arguments) -> None:
    """The command: what its options say."""
    write_data(arguments.settings, **arguments.options)


def write_data(settings: Data, out: str | Path, name: str = "") -> Path:
    """Loads a data set with all its checks, writes it, and prints how it is read.

    Args:
        settings: the data set.
        out: the folder to write to; each data set gets one in it.
        name: what to call the data set; "" for <set>_<split>.

    Returns:
        its folder.

    Raises:
        UserError: the data is missing or faulty, the name is no name, or the folder exists.
    """
    # Imported here, because TensorFlow Datasets takes half a second, and may not be needed.
    from reex_jax.datasets.tfds_builder import write_tfds

    data = load_data(settings)
    name = name or re.sub(r"\W+", "_", f"{data.name}_{settings.split}".lower())
    folder = write_tfds(data, out, name=name, split=settings.split)
    print(
        f"wrote {folder}: {len(data.image_ids)} images, {len(data.captions)} captions; read it "
        f"with --config.data.name=tfds --config.data.root={folder} "
        f"--config.data.split={settings.split}"
    )
    return folder
