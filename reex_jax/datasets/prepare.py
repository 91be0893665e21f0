"""Turns a data set into one file format that is read fast and without TensorFlow.

    python -m reex_jax.datasets.prepare --out=/data/tfds \\
        --data.name=karpathy --data.preset=coco --data.root=/data/coco

Writes /data/tfds/<name>/1.0.0/ for TensorFlow Datasets (array_record): the images as they are, ids
and order kept, and says how a run reads it. The keys of `data` are those of a run's configuration.
"""

import re
from collections.abc import Sequence

from absl import flags
from ml_collections import ConfigDict, config_flags

from reex_jax.command_line import run_command
from reex_jax.datasets.load import load_data
from reex_jax.datasets.settings import DATA_CHECKS, check_data, data_defaults
from reex_jax.errors import unknown
from reex_jax.settings.checks import check_values


def define_flags(argv: Sequence[str]) -> None:
    """Refuses a `--data.key` that does not exist, then defines the flags of this command.

    Raises:
        UserError: naming the key and the nearest that exists.
    """
    for argument in argv[1:]:
        key = re.match(r"--?(?:no)?(data\.[^=]+)", argument)
        if key and key[1] not in DATA_CHECKS:
            raise unknown("key", key[1], DATA_CHECKS)
    config_flags.DEFINE_config_dict("data", ConfigDict(data_defaults()))
    flags.DEFINE_string("out", None, "the folder to write to; each data set gets one in it")
    flags.DEFINE_string("name", "", "what to call the data set; by default <set>_<split>")


def main() -> None:
    """Loads the data set that the flags name, with all its checks, and writes it."""
    # Imported here, because TensorFlow Datasets takes half a second, and may not be needed.
    from reex_jax.datasets.tfds_builder import write_tfds

    data = flags.FLAGS.data
    check_values({"data": data.to_dict()}, DATA_CHECKS, "experiments/coco_c.py")
    check_data(data)
    loaded = load_data(data)
    name = flags.FLAGS.name or re.sub(r"\W+", "_", f"{loaded.name}_{data.split}".lower())
    folder = write_tfds(loaded, flags.FLAGS.out, name=name, split=data.split)
    print(
        f"wrote {folder}: {len(loaded.image_ids)} images, {len(loaded.captions)} captions; read it "
        f"with --config.data.name=tfds --config.data.root={folder} "
        f"--config.data.split={data.split}"
    )


if __name__ == "__main__":
    run_command(main, define_flags, required="out")
