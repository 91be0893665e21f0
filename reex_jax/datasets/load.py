"""The data set that settings name."""

from reex_jax.datasets.folder import load_folder
from reex_jax.datasets.karpathy import load_karpathy
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.datasets.scenes import load_scenes
from reex_jax.settings.data import FOLDER, KARPATHY, TFDS, Data


def load_data(settings: Data, *, decode: bool = True) -> RetrievalSet:
    """Loads a data set.

    Args:
        settings: which, and where it lies.
        decode: whether every image is decoded once to check it; work on captions alone need not.

    Raises:
        UserError: settings do not say where it lies, or it is missing or faulty.
    """
    settings.check_complete()
    if settings.name == FOLDER:
        return load_folder(
            settings.root,
            settings.captions_file or None,
            settings.on_error,
            max_images=settings.max_images,
            decode=decode,
        ).data
    if settings.name == KARPATHY:
        return load_karpathy(
            settings.root,
            preset=settings.preset,
            split=settings.split,
            captions_file=settings.captions_file,
            images=settings.images,
            max_images=settings.max_images,
            on_error=settings.on_error,
            decode=decode,
        )
    if settings.name == TFDS:
        # Imported here, because TensorFlow Datasets takes half a second, and few need it.
        from reex_jax.datasets.tfds_reader import load_tfds

        return load_tfds(settings.root, split=settings.split, max_images=settings.max_images)
    return load_scenes(settings.num_images, split=settings.split, seed=settings.seed)
