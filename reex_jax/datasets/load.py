"""The data set that a configuration names."""

from ml_collections import ConfigDict

from reex_jax.datasets.folder import load_folder
from reex_jax.datasets.karpathy import load_karpathy
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.datasets.scenes import load_scenes
from reex_jax.datasets.settings import FOLDER, KARPATHY, TFDS


def load_data(data: ConfigDict) -> RetrievalSet:
    """Loads `config.data`, already checked.

    Raises:
        UserError: the data is missing or faulty.
    """
    if data.name == FOLDER:
        return load_folder(
            data.root, data.captions_file or None, data.on_error, max_images=data.max_images
        ).data
    if data.name == KARPATHY:
        return load_karpathy(
            data.root,
            preset=data.preset,
            split=data.split,
            captions_file=data.captions_file,
            images=data.images,
            max_images=data.max_images,
            on_error=data.on_error,
        )
    if data.name == TFDS:
        # Imported here, because TensorFlow Datasets takes half a second, and few need it.
        from reex_jax.datasets.tfds_reader import load_tfds

        return load_tfds(data.root, split=data.split, max_images=data.max_images)
    return load_scenes(data.num_images, split=data.split, seed=data.seed)
