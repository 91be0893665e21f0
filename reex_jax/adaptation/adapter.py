"""The public way to adapt: queries in, rankings out, the encoder a little better each time."""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from reex_jax.adaptation.encoder import Constants, query_encoder
from reex_jax.adaptation.fused import check_fusion, fused_encoder
from reex_jax.adaptation.inputs import plain_inputs, refined_inputs
from reex_jax.adaptation.make_method import make_method, own_settings
from reex_jax.adaptation.saved import fingerprint, restore_adapter, save_adapter
from reex_jax.adaptation.update import (
    AdaptState,
    compile_update,
    first_copy,
    initial_state,
    replicate,
)
from reex_jax.errors import UserError
from reex_jax.gsr.settings import FusionSettings
from reex_jax.models.clip.api import Clip
from reex_jax.retrieval.gallery import check_embeddings
from reex_jax.retrieval.ranks import ranks_of
from reex_jax.retrieval.topk import top_k


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The ranking of one batch.

    Attributes:
        indices: [B, k] int32 gallery positions, best first; of equal scores the lower position.
        scores: [B, k] float32 cosines.
        diagnostics: "loss", "confident" (share of the queries that the method trusted) and
            "skipped" (updates left out because they were not finite), of this batch.
    """

    indices: np.ndarray
    scores: np.ndarray
    diagnostics: dict[str, float]


class Adapter:
    """Searches a gallery batch by batch and adapts the query encoder on the way, unlabelled.

    Not for several threads at once: each batch changes the state. The `Clip` is left as it is.
    """

    def __init__(
        self,
        clip: Clip,
        gallery_embeddings: ArrayLike,
        *,
        query: str,
        method: str = "reex",
        fusion: str = "",
        fusion_settings: FusionSettings | None = None,
        **settings: Any,
    ) -> None:
        """Compiles nothing yet: each new batch shape is compiled on its first use.

        Args:
            clip: the source model; embeds the queries.
            gallery_embeddings: [N, d] float32 unit rows, made by the same model.
            query: "image" (the gallery holds texts) or "text" (it holds images).
            method: a name in `adaptation.methods.METHODS`, or "module:function" of your own.
            fusion: a name in `gsr.fusion.FUSIONS`: each text query comes with its repair, as
                `RefinedQueries`, and the rule fuses the embeddings of the two before anything
                adapts to them. "" for queries without repairs.
            fusion_settings: constants of the rule; None for their defaults.
            **settings: of `AdaptSettings` and of the method; the others have their defaults.

        Raises:
            UserError: an unknown method or setting (the nearest name is suggested), an impossible
                value, fusion of image queries, or a gallery that is empty, of another width, or not
                of unit vectors.
        """
        self._objective, self._settings = make_method(method, settings)
        self._method, self._given = method, {n: v for n, v in settings.items() if n != "devices"}
        self._encoder = query_encoder(clip.model, query, self._settings.parameters)
        self._query, self._inputs = query, plain_inputs(clip, query)
        self._fusion = check_fusion(fusion, fusion_settings, query)
        if self._fusion:
            self._encoder = fused_encoder(self._encoder, self._fusion)
            self._inputs = refined_inputs(clip)
        self._devices = choose_devices(self._settings.devices, self._settings.batch_size)
        gallery = np.asarray(jax.device_get(gallery_embeddings), np.float32)
        _check_gallery(gallery, clip)
        self._gallery = jax.device_put(gallery, self._devices[0])
        self._constants = Constants(
            self._encoder.frozen,
            self._encoder.parameters,
            self._gallery,
            jnp.float32(clip.temperature),
            jnp.float32(self._settings.learning_rate),
        )
        self._replicated = replicate(self._constants, self._devices)
        self._update = compile_update(self._objective, self._encoder, self._settings, self._devices)
        self.reset()

    @property
    def gallery(self) -> jax.Array:
        """[N, d] float32, on the first device."""
        return self._gallery

    @property
    def state(self) -> AdaptState:
        """Everything that has been learned, one pytree of arrays on the first device."""
        return first_copy(self._state)

    def reset(self) -> None:
        """Forgets everything: the source model's parameters and an empty memory."""
        state = initial_state(self._objective, self._settings, self._constants)
        self._state = replicate(state, self._devices)

    def adapt(self, queries: Any) -> tuple[jax.Array, dict[str, float]]:
        """Adapts to one batch.

        Args:
            queries: PIL images or strings, or arrays that are preprocessed already: pixels
                [B, h, w, c] float32 or token ids [B, length] int32; 1 to `batch_size` of them. With
                `fusion`: `RefinedQueries` of strings, or `FusedTexts` of token ids.

        Returns:
            the embeddings to rank ("score" says which) [B, d] float32 unit, and the diagnostics
            of `SearchResult`.

        Raises:
            UserError: no queries, more than `batch_size`, or faulty ones (see `Clip.encode_*`).
        """
        padded, diagnostics, count = self._step(queries)
        return padded[:count], diagnostics

    def search(self, queries: Any, k: int = 10) -> SearchResult:
        """Adapts to one batch, then ranks the k nearest gallery items of each query.

        Raises:
            UserError: k is not in 1..N; see `adapt`. Nothing has been adapted then.
        """
        size = self._gallery.shape[0]
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= size:
            raise UserError(f"k is {k!r}, but must lie in 1..{size}, the gallery's size")
        embeddings, diagnostics, count = self._step(queries)
        scores, indices = jax.device_get(top_k(embeddings, self._gallery, k))
        return SearchResult(indices[:count], scores[:count], diagnostics)

    def similarities(self, queries: Any) -> np.ndarray:
        """Adapts to one batch, then gives all cosines [B, N] float32; for small galleries.

        Raises:
            UserError: see `adapt`.
        """
        embeddings, _, count = self._step(queries)
        return np.asarray(_cosines(embeddings, self._gallery))[:count]

    def ranks(self, queries: Any, answers: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
        """Adapts to one batch, then says where right answers stand; the rest stays on the device.

        Args:
            queries: see `adapt`.
            answers: [B, R] int32 gallery positions, -1 where a query has fewer.

        Returns:
            ranks [B, R] int32, see `retrieval.ranks.ranks_of`, and the diagnostics.

        Raises:
            UserError: see `adapt` and `ranks_of`.
        """
        embeddings, diagnostics, count = self._step(queries)
        padded = np.pad(answers, ((0, len(embeddings) - count), (0, 0)), mode="edge")
        return np.asarray(ranks_of(embeddings, self._gallery, padded))[:count], diagnostics

    def save(self, path: str | Path) -> None:
        """Writes the whole state to a folder, over what an earlier `save` wrote there.

        Raises:
            UserError: the folder holds something else.
        """
        save_adapter(path, self._identity, self.state)

    def restore(self, path: str | Path) -> None:
        """Goes on from what `save` wrote; the next batch gives the same numbers as then.

        Raises:
            UserError: nothing was saved there, or by an adapter of another method, query, model,
                gallery or settings (the number of devices may differ).
        """
        self._state = replicate(restore_adapter(path, self._identity, self.state), self._devices)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        shared = asdict(self._settings)
        del shared["devices"]
        return {
            "method": self._method,
            "query": self._query,
            "fusion": self._fusion and asdict(self._fusion),
            "settings": own_settings(self._method) | self._given | shared,
            "model": fingerprint((self._constants.source, self._constants.frozen)),
            "gallery": fingerprint(self._gallery),
        }

    def _step(self, queries: Any) -> tuple[jax.Array, dict[str, float], int]:
        """Padded embeddings [P, d] on the first device, diagnostics, and how many are real."""
        inputs = self._inputs(queries)
        count = len(jax.tree.leaves(inputs)[0])
        if not 1 <= count <= self._settings.batch_size:
            raise UserError(
                f"a batch of {count} queries; give 1 to batch_size = {self._settings.batch_size}"
            )
        rows = padded_rows(count, self._settings.batch_size, len(self._devices))
        share = (len(self._devices), rows // len(self._devices))

        def split(x: np.ndarray) -> np.ndarray:
            padded = np.pad(x, [(0, rows - count)] + [(0, 0)] * (x.ndim - 1), mode="edge")
            return padded.reshape(share + x.shape[1:])

        mask = (np.arange(rows) < count).reshape(share)
        self._state, embeddings, diagnostics = self._update(
            self._replicated, self._state, jax.tree.map(split, inputs), mask
        )
        embeddings, diagnostics = first_copy((embeddings, diagnostics))
        values = {name: value.item() for name, value in diagnostics._asdict().items()}
        return embeddings, values, count


def padded_rows(count: int, batch_size: int, devices: int) -> int:
    """Rows of the compiled batch that holds `count` queries, a multiple of `devices`.

    batch_size, or a quarter, a sixteenth ... of it: few shapes compile, and a single query does
    not cost a whole batch.
    """
    rows = batch_size
    while rows > devices and count <= (smaller := -(-rows // (4 * devices)) * devices) < rows:
        rows = smaller
    return rows


def choose_devices(count: int, batch_size: int) -> list[jax.Device]:
    """The first `count` devices of this machine; all of them for 0.

    Raises:
        UserError: there are not so many, or they cannot share a batch equally.
    """
    there = jax.local_devices()
    if count > len(there):
        raise UserError(f"devices is {count}, but this machine has {len(there)}; 0 takes all")
    devices = there[: count or len(there)]
    if batch_size % len(devices):
        raise UserError(
            f"batch_size {batch_size} is not divisible by {len(devices)} devices; take "
            f"{-(-batch_size // len(devices)) * len(devices)}, or another number of devices"
        )
    return devices


def _check_gallery(rows: np.ndarray, clip: Clip) -> None:
    check_embeddings(rows)
    if rows.shape[1] != clip.config.projection_dim:
        raise UserError(
            f"gallery embeddings are {rows.shape[1]} wide, but the model's queries are "
            f"{clip.config.projection_dim} wide; embed the gallery with the same checkpoint"
        )


@jax.jit
def _cosines(queries: jax.Array, gallery: jax.Array) -> jax.Array:
    return jnp.matmul(queries, gallery.T, precision=jax.lax.Precision.HIGHEST)
