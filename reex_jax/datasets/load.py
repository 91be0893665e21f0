"""The data set that a configuration names."""

from ml_collections import ConfigDict

from reex_jax.datasets.folder import load_folder
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.datasets.scenes import load_scenes

DATA_SETS = ("scenes", "folder")


def load_data(data: ConfigDict) -> RetrievalSet:
    """Loads `config.data`, already checked.

    Raises:
        UserError: the data is missing or faulty.
    """
    if data.name == "folder":
        return load_folder(data.root, data.captions_file or None, data.on_error).data
    return load_scenes(data.num_images, split=data.split, seed=data.seed)
