"""Makes an index of embeddings that are there already.

    python -m reex_jax.index import --embeddings=FOLDER --model=openai/clip-vit-base-patch32 \\
        --out=INDEX

No file says which model made embeddings: what --model names is believed, and only the width can be
compared. They must be made without other preprocessing than the model's own.
"""

from reex_jax.commands.arguments import Arguments
from reex_jax.index.identity import identity_of
from reex_jax.index.imports import find_embeddings, import_embeddings
from reex_jax.index.manifest import MANIFEST, Manifest
from reex_jax.index.writer import IndexWriter
from reex_jax.models.load import load_model


def import_index(arguments: Arguments) -> None:
    """The command `index import`.

    Raises:
        UserError: see `find_embeddings` and `import_embeddings`.
    """
    options, settings = arguments.options, arguments.settings
    found = find_embeddings(
        options["embeddings"], options["ids_file"], text=options["texts"] == "true"
    )
    model = load_model(options["model"], preprocessing=settings.preprocessing)
    new = Manifest(identity_of(model), found.modality, settings.dtype, imported=found.kind)
    with IndexWriter(options["out"], new) as writer:
        try:
            count = import_embeddings(writer, found)
        finally:
            if not writer.manifest.items:
                (writer.folder / MANIFEST).unlink(missing_ok=True)
        print(f"{writer.folder}: {writer.manifest.items} items, {count} of them new")
