"""Reads a Llama checkpoint in Hugging Face's layout: weights and tokenizer."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import tokenizers
from flax import nnx
from jax.typing import DTypeLike

from reex_jax.errors import UserError
from reex_jax.models.engine_file import engine_from_json
from reex_jax.models.folders import weight_files
from reex_jax.models.llama.config import read_llama_config
from reex_jax.models.llama.model import LlamaModel
from reex_jax.models.llama.weights import is_ignored, llama_table
from reex_jax.models.read_weights import read_weights

TOKENIZER = "tokenizer.json"


def read_llama(folder: Path, *, compute_dtype: DTypeLike = jnp.float32) -> LlamaModel:
    """Read a model; what enters products has `compute_dtype`, the norms' scales are float32.

    Raises:
        UserError: a file is missing, damaged, pickled or of another architecture; see
            `read_weights`.
    """
    config = read_llama_config(folder)
    model = read_weights(
        weight_files(folder),
        llama_table(config),
        lambda: LlamaModel(config, compute_dtype=compute_dtype, rngs=nnx.Rngs(0)),
        ignored=partial(is_ignored, tied=config.tie_word_embeddings),
    )
    structure, state = nnx.split(model)

    def fitting(path: tuple[object, ...], values: jax.Array) -> jax.Array:
        return values if "norm" in jax.tree_util.keystr(path) else values.astype(compute_dtype)

    return nnx.merge(structure, jax.tree_util.tree_map_with_path(fitting, state))


def read_tokenizer(folder: Path, vocabulary: int) -> tokenizers.Tokenizer:
    """The tokenizer of a checkpoint folder.

    Args:
        folder: with tokenizer.json.
        vocabulary: how many tokens the model knows.

    Raises:
        UserError: the file is missing, damaged, or of another model.
    """
    file = folder / TOKENIZER
    if not file.is_file():
        raise UserError(f"{file}: not found; copy it from the model's page, beside config.json")
    engine = engine_from_json(file)
    largest = max(engine.get_vocab().values(), default=0)
    if largest >= vocabulary:
        raise UserError(
            f"{file}: has token {largest}, but vocab_size of config.json is {vocabulary}; take "
            "both files from the same checkpoint"
        )
    return engine
