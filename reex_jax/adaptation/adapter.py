"""The public way to adapt: queries in, rankings out, the encoder a little better each time."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from reex_jax.adaptation.batches import choose_devices, padded_rows, shared_batch
from reex_jax.adaptation.encoder import Constants, query_encoder
from reex_jax.adaptation.frozen import compile_embed
from reex_jax.adaptation.fused import check_fusion, fused_encoder
from reex_jax.adaptation.inputs import plain_inputs, repaired_inputs
from reex_jax.adaptation.items import checked_items
from reex_jax.adaptation.make_method import make_method
from reex_jax.adaptation.observed import ObservedAdapter, compile_correction
from reex_jax.adaptation.pending import Embedded, PendingRanks, fetched
from reex_jax.adaptation.replicas import first_copy, own_rows, replicate
from reex_jax.adaptation.search_result import SearchResult
from reex_jax.adaptation.update import compile_update
from reex_jax.hosts import gathered
from reex_jax.models.two_tower import TwoTower
from reex_jax.retrieval.device_gallery import DeviceGallery
from reex_jax.retrieval.part import AXIS
from reex_jax.settings.checks import LARGE, integer
from reex_jax.settings.gallery import GallerySettings
from reex_jax.settings.ranking import Ranking
from reex_jax.settings.repair import FusionSettings


class Adapter(ObservedAdapter):
    """Searches a gallery batch by batch and adapts the query encoder on the way, unlabelled.

    `adapt` learns, `embed` and `rank` do not; `search`, `similarities` and `ranks` learn first
    unless `learn` is False. A batch that is not learned from, but is noticed to be of another sort
    than what was, is embedded and ranked as the source model does. Not for several threads at once:
    learning changes the state. The model is left as it is.

    Several processes (`jax.distributed`) share every batch: each makes the same Adapter, calls the
    same methods in the same order, gives its own queries, at most its equal share of `batch_size`,
    and gets results for these; all learn the same from all of them.
    """

    def __init__(
        self,
        model: TwoTower,
        gallery_embeddings: ArrayLike | str | Path,
        *,
        query: str,
        ids: Iterable[str] | None = None,
        method: str = "reex",
        fusion: str = "",
        fusion_settings: FusionSettings | None = None,
        ranking: Ranking | None = None,
        gallery_settings: GallerySettings | None = None,
        **settings: Any,
    ) -> None:
        """Compiles nothing yet: each new batch shape is compiled on its first use.

        Args:
            model: the source model; embeds the queries.
            gallery_embeddings: [N, d] unit rows, made by the same model; or the path of a .npy file
                with them, which is read in pieces.
            query: "image" (the gallery holds texts) or "text" (it holds images).
            ids: of the gallery's items, for `add`, `remove` and `restore`; None: their positions.
            method: a name in `settings.methods.METHODS`, or "module:function" of your own.
            fusion: a name in `gsr.fusion.FUSIONS`: each text query comes with its repair, as
                `RepairedQueries`, and the rule fuses the embeddings of the two before anything
                adapts to them. "" for queries without repairs.
            fusion_settings: constants of the rule; None for their defaults.
            ranking: how ranking corrects for hubs that the stream shows; None for the defaults,
                `Ranking(calibration="off")` for cosines alone.
            gallery_settings: how the devices hold the gallery; None for the defaults.
            **settings: of `AdaptSettings` and of the method's class; the others have their
                defaults.

        Raises:
            UserError: an unknown method or setting (the nearest name is suggested), an impossible
                value, fusion of image queries, or a gallery that is empty, of another width, not of
                unit vectors, or whose ids repeat or are not as many.
        """
        self._objective, self._own, self._settings = make_method(method, settings)
        self._method, self._query = method, query
        own = self._settings
        held = GallerySettings() if gallery_settings is None else gallery_settings
        axis = AXIS if held.layout == "split" else None
        self._encoder = query_encoder(model, query, own.parameters, own.last_layers, own.remat)
        self._inputs = plain_inputs(model, query)
        self._fusion = check_fusion(fusion, fusion_settings, query)
        if self._fusion:
            self._encoder = fused_encoder(self._encoder, self._fusion, axis)
            self._inputs = repaired_inputs(model)
        self._devices = choose_devices(self._settings.devices, self._settings.batch_size)
        self._items, rows = checked_items(gallery_embeddings, ids, model.dim)
        self._constants = Constants(
            self._encoder.frozen,
            self._encoder.parameters,
            None,  # the devices' rows stand in for it
            jnp.float32(model.temperature),
            jnp.float32(getattr(self._own, "learning_rate", 0.0)),
        )
        self._gallery = DeviceGallery(rows, self._devices, held)
        self._replicated = self._with_gallery(replicate(self._constants, self._devices))
        self._ranking = Ranking() if ranking is None else ranking
        self._update = compile_update(
            self._objective, self._encoder, self._settings, self._ranking, self._devices, axis
        )
        self._correct = compile_correction(self._ranking, self._devices if axis else [])
        self._embed = compile_embed(self._encoder, self.learns, self._ranking, self._devices)
        self.shapes_met: set[tuple[int, ...]] = set()
        self.reset()

    @property
    def gallery(self) -> jax.Array:
        """[N, d] float32, a copy on the first device."""
        return self._gallery.copy()

    @property
    def learns(self) -> bool:
        """Whether its method ever updates anything."""
        return self._objective.learns and self._settings.steps > 0

    def reset(self, seed: int | None = None) -> None:
        """Forgets everything: the source model's parameters and an empty memory.

        Args:
            seed: of whatever the method draws at random from now on; None for the setting.

        Raises:
            UserError: the seed is no whole number from 0.
        """
        if seed is not None:
            integer(0, LARGE)("seed", seed)
        self._state = replicate(self._first_state(self._gallery.places, seed), self._devices)

    def adapt(self, queries: Any) -> tuple[jax.Array, dict[str, float]]:
        """Learns from one batch.

        Args:
            queries: PIL images or strings, or arrays that are preprocessed already: pixels
                [B, h, w, c] float32 or token ids [B, length] int32; 1 to `batch_size` of them. With
                `fusion`: `RepairedQueries` of strings, or `FusedTexts` of token ids.

        Returns:
            the embeddings to rank ("score" says which) [B, d] float32 unit, and the diagnostics
            of `SearchResult`.

        Raises:
            UserError: no queries, more than `batch_size`, or faulty ones (see the model's
                `encode_*`).
        """
        batch = self._embedded(queries, learn=True)
        return batch.queries[: batch.real], fetched(batch.diagnostics)

    def embed(self, queries: Any) -> jax.Array:
        """Embeds one batch with what has been learned, and learns nothing: [B, d] float32 unit.

        Raises:
            UserError: see `adapt`.
        """
        batch = self._embedded(queries, learn=False)
        return batch.queries[: batch.real]

    def rank(self, embeddings: ArrayLike, k: SupportsIndex = 10) -> SearchResult:
        """The k nearest gallery items of each embedding [B, d] float32; changes nothing.

        Raises:
            UserError: k is not in 1..N, or the embeddings are of another width.
        """
        rows, k = jnp.asarray(embeddings, jnp.float32), self._gallery.check_k(k)
        self._gallery.check_queries(rows)
        count, most = len(rows), self._settings.batch_size
        padded = padded_rows(count, most, 1) if 0 < count < most else count  # few shapes compile
        if self._gallery.axis:  # all processes search together
            padded = int(gathered(np.array([padded], np.int32)).max())
        if padded > count:
            rows = jnp.pad(rows, ((0, padded - count), (0, 0)))
        return self._ranked(Embedded(rows, {}, None, count), k)

    def search(self, queries: Any, k: SupportsIndex = 10, *, learn: bool = True) -> SearchResult:
        """Learns from one batch, then ranks the k nearest gallery items of each query.

        So the same queries, searched twice, may be ranked otherwise. With `learn=False` they are
        ranked with what has been learned so far, and nothing changes.

        Raises:
            UserError: k is not in 1..N; see `adapt`. Nothing has been learned then.
        """
        k = self._gallery.check_k(k)
        return self._ranked(self._embedded(queries, learn), k)

    def similarities(self, queries: Any, *, learn: bool = True) -> np.ndarray:
        """Learns from one batch, then gives all cosines [B, N] float32; for small galleries.

        Raises:
            UserError: see `adapt`.
        """
        batch = self._embedded(queries, learn)
        return self._gallery.cosines(batch.queries)[: batch.real]

    def ranks(
        self,
        queries: Any,
        answers: np.ndarray,
        *,
        learn: bool = True,
        look: Callable[[jax.Array], None] | None = None,
    ) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Learns from one batch, then says where right answers stand; the rest stays on the device.

        Returns:
            ranks [B, R] int32, see `retrieval.ranks.ranks_of`: "plain" by cosine alone, and
            "calibrated" unless calibration is off; and the diagnostics. See `begin_ranks`.
        """
        return self.begin_ranks(queries, answers, learn=learn, look=look).fetch()

    def begin_ranks(
        self,
        queries: Any,
        answers: np.ndarray,
        *,
        learn: bool = True,
        look: Callable[[jax.Array], None] | None = None,
    ) -> PendingRanks:
        """`ranks` that are fetched later: the host prepares the next batch while the device works.

        Batches are worked on in the order in which they were begun, whenever they are fetched.
        Several processes wait for each other, as they agree on the size of the batch.

        Args:
            queries: see `adapt`.
            answers: [B, R] int32 gallery positions, -1 where a query has fewer. [0, R] where this
                process has no part in the batch; its one query is padding then.
            learn: False leaves the state as it is; the diagnostics are "changed" then.
            look: called with the embeddings that are ranked [P, d], padding behind the real ones.

        Raises:
            UserError: see `adapt` and `ranks_of`; after a fault in the answers nothing has been
                learned.
        """
        self._gallery.check_answers(answers)
        batch = self._embedded(queries, learn, idle=not len(answers))
        missing = ((0, len(batch.queries) - batch.real), (0, 0))
        padded = np.pad(answers, missing, constant_values=-1)
        correction = self._correction_of(batch.changed)
        ranks = self._gallery.begin_ranks(batch.queries, padded, correction)
        if look is not None:
            look(batch.queries)
        named = dict(zip(("plain", "calibrated"), ranks, strict=False))
        return PendingRanks(named, batch.diagnostics, batch.real)

    def rehearse(self, queries: Any, answers: np.ndarray) -> None:
        """Compiles what `ranks` of a batch of such a shape needs; learns nothing."""
        before = jax.tree.map(jnp.copy, self._state)
        self.ranks(queries, answers)
        self._state = before

    def _ranked(self, batch: Embedded, k: int) -> SearchResult:
        correction = self._correction_of(batch.changed)
        scores, indices = self._gallery.best(batch.queries, k, correction)
        diagnostics = fetched(batch.diagnostics)
        return SearchResult(indices[: batch.real], scores[: batch.real], diagnostics)

    def _embedded(self, queries: Any, learn: bool, idle: bool = False) -> Embedded:
        """The batch of this process's queries; waits for nothing. `idle`: they are padding."""
        devices, state = len(self._devices), self._state
        inputs, mask, count = shared_batch(
            self._inputs(queries), self._settings.batch_size, devices, idle
        )
        if learn:
            self._state, *found = self._update(self._replicated, state, inputs, mask)
            embeddings, diagnostics = first_copy(found)
            return Embedded(own_rows(embeddings), diagnostics._asdict(), None, count)
        embeddings, changed = self._embed(
            self._replicated, state.parameters, state.calibration, inputs, mask
        )
        embeddings, first = first_copy((embeddings, changed))
        return Embedded(own_rows(embeddings), {"changed": first}, changed, count)
