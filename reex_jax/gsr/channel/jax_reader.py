"""A Llama-like model and its tokenizer, ready to read; the part of the scorer that needs JAX."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import tokenizers
from flax import nnx

from reex_jax.models.folders import find_checkpoint
from reex_jax.models.llama.checkpoint import read_llama, read_tokenizer
from reex_jax.models.llama.model import Forest
from reex_jax.models.transformer import compute_dtype

# Tokens that are read at the same time: a CPU's caches want few, an accelerator's units many.
_CPU_TOKENS, _DEVICE_TOKENS = 2048, 32768


@dataclass(frozen=True, eq=False)
class JaxReader:
    """A model in memory.

    Attributes:
        engine: its tokenizer.
        read: ids, depths, ends and parents [rows, width] of a `Forest` -> log probabilities.
        tokens: that should be read at the same time.
    """

    engine: tokenizers.Tokenizer
    read: Callable[..., jax.Array]
    tokens: int

    def cut(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without special tokens."""
        found = self.engine.encode_batch(list(texts), add_special_tokens=False)
        return [item.ids for item in found]


def load_reader(path_or_hub_id: str, revision: str | None) -> JaxReader:
    """The model on this process's first device: bfloat16 products there, float32 on a CPU.

    Raises:
        UserError: as `find_checkpoint`, `read_llama` and `read_tokenizer`.
    """
    folder = find_checkpoint(path_or_hub_id, revision)
    model = read_llama(folder, compute_dtype=compute_dtype("auto"))
    engine = read_tokenizer(folder, model.config.vocab_size)
    structure, state = nnx.split(model)

    @jax.jit
    def logs(state: nnx.State, forest: Forest) -> jax.Array:
        return nnx.merge(structure, state)(forest)

    def read(*parts: np.ndarray) -> jax.Array:
        return logs(state, Forest(*map(jnp.asarray, parts)))

    on_cpu = jax.default_backend() == "cpu"
    return JaxReader(engine, read, _CPU_TOKENS if on_cpu else _DEVICE_TOKENS)
