"""From a request to its answer, apart from HTTP."""

import asyncio
import functools
import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from reex_jax.corruptions.image.kinds import IMAGE_CORRUPTIONS
from reex_jax.corruptions.text.kinds import TEXT_CORRUPTIONS, corrupt_text
from reex_jax.errors import UserError, unknown
from reex_jax.models.two_tower import TwoTower
from reex_jax.service.asked import Answer, Ask, Lane, Ranked, Searched
from reex_jax.service.demo import Demo
from reex_jax.service.gather import Gatherer
from reex_jax.service.pictures import damaged_picture, shown_picture, uploaded_picture
from reex_jax.service.schemas import Noise, Options, PictureOptions, Sample, SearchRequest
from reex_jax.service.texts import TextRepairs
from reex_jax.settings.service import UNADAPTED, Service

_LOOKED_AT = 50  # results that are compared, so that moves from further behind are seen


@dataclass(frozen=True)
class _Prepared:
    """A query on its way, with what the answer says of it."""

    ask: Ask
    text: str | None = None
    picture: str | None = None
    truth: int | None = None


@dataclass(frozen=True, eq=False)
class Searcher:
    """Prepares queries beside each other, has them answered together.

    Attributes:
        model: prepares.
        index: says what was found.
        settings: of the service.
        gather: answers.
        repairs: None without a rewriter.
        demo: samples; None for an index of one's own.
    """

    model: TwoTower
    index: Searched
    settings: Service
    gather: Gatherer
    repairs: TextRepairs | None
    demo: Demo | None
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(2, "prepare"), repr=False
    )

    async def by_request(self, request: SearchRequest) -> dict[str, Any]:
        """The answer to a search by text or sample, as `SearchResponse` has it.

        Raises:
            UserError: what is wrong with the request.
        """
        began = time.perf_counter()
        if (request.text is None) == (request.sample is None):
            raise UserError("give either text or sample")
        if request.text is not None:
            work = functools.partial(self._text, request.text, request, request.noise)
        else:
            assert request.sample is not None
            work = functools.partial(self._sample, request.sample, request)
        return await self._answered(began, work, request)

    async def by_picture(self, content: bytes, options: PictureOptions) -> dict[str, Any]:
        """The answer to a search by the bytes of a picture file.

        Raises:
            UserError: what is wrong with the picture or the options.
        """
        noise = Noise(kind=options.noise, severity=options.severity) if options.noise else None
        work = functools.partial(self._upload, content, options, noise)
        return await self._answered(time.perf_counter(), work, options)

    def stop(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(cancel_futures=True)

    async def _answered(
        self, began: float, work: Callable[[], _Prepared], options: Options
    ) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._threads, work)
        ready = time.perf_counter()
        answer = await self.gather(prepared.ask)
        answer.timings["prepare"] = 1e3 * (ready - began)
        answer.timings["total"] = 1e3 * (time.perf_counter() - began)
        return self._said(prepared, answer, options)

    def _text(self, text: str, options: Options, noise: Noise | None, name: str = "") -> _Prepared:
        limit = self.settings.limits.text
        if not text.strip():
            raise UserError("text is empty; say what is looked for")
        if len(text) > limit:
            raise UserError(f"text has {len(text)} characters; at most {limit} are allowed")
        if noise:
            self._check_noise(noise, TEXT_CORRUPTIONS)
            name = name or hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
            text = corrupt_text(text, noise.kind, noise.severity, item_id=name, seed=0)
        repaired = self.repairs.repair(text) if self.repairs and options.repair else None
        inputs = self.model.prepare_text(text)
        mended = None
        if repaired and repaired.repair.repaired != text:
            mended = self.model.prepare_text(repaired.repair.repaired)
        ask = self._ask("text", inputs, options, repaired=repaired, repair_inputs=mended)
        return _Prepared(ask, text)

    def _upload(self, content: bytes, options: Options, noise: Noise | None) -> _Prepared:
        image = uploaded_picture(content, self.settings.limits.pixels)
        if noise is None:
            return _Prepared(self._ask("image", self.model.prepare_image(image), options))
        return self._picture(image, options, noise, hashlib.sha256(content).hexdigest())

    def _picture(
        self, image: Image.Image, options: Options, noise: Noise | None, name: str
    ) -> _Prepared:
        if noise:
            self._check_noise(noise, IMAGE_CORRUPTIONS)
            image = damaged_picture(image, noise.kind, noise.severity, name)
        ask = self._ask("image", self.model.prepare_image(image), options)
        return _Prepared(ask, picture=shown_picture(image))

    def _sample(self, sample: Sample, request: SearchRequest) -> _Prepared:
        if self.demo is None:
            raise UserError("this index has no samples; they are part of the demo index")
        if sample.query == "text":
            text, truth = self.demo.text(sample.number)
            name = self.demo.name("text", sample.number)
            made = self._text(text, request, request.noise, name)
        else:
            image, truth = self.demo.picture(sample.number)
            name = self.demo.name("image", sample.number)
            made = self._picture(image, request, request.noise, name)
        return _Prepared(made.ask, made.text, made.picture, truth)

    def _ask(self, query: str, inputs: Any, options: Options, **more: Any) -> Ask:
        methods = (*self.settings.methods, UNADAPTED)
        method = options.method or methods[0]
        if method not in methods:
            raise unknown("method", method, methods)
        most = min(self.settings.limits.k, len(self.index))
        if options.k > self.settings.limits.k:
            raise UserError(f"k is {options.k}; at most {self.settings.limits.k} are given")
        k = max(options.k, _LOOKED_AT) if options.compare else options.k
        return Ask(
            Lane(query, method),
            inputs,
            min(k, most),
            options.calibration and self.settings.ranking.calibration != "off",
            options.compare,
            options.learn,
            **more,
        )

    def _check_noise(self, noise: Noise, kinds: Any) -> None:
        if not self.settings.noise:
            raise UserError("this service damages no queries; start it with --serve.noise")
        if noise.kind not in kinds:
            raise unknown("noise", noise.kind, kinds)

    def _said(self, prepared: _Prepared, answer: Answer, options: Options) -> dict[str, Any]:
        """The answer as JSON; see `SearchResponse`."""
        ask, before = prepared.ask, answer.before
        earlier = {} if before is None else _ranks(before)
        repair = None
        if ask.repaired is not None:
            found = ask.repaired.repair
            repair = {
                "text": found.text,
                "repaired": found.repaired,
                "confidence": found.generation,
                "weight": answer.weight or 0.0,
                "reason": found.reason,
            }
        truth = None
        if prepared.truth is not None:
            truth = {
                "position": prepared.truth,
                "rank": _ranks(answer.ranked).get(prepared.truth),
                "before": earlier.get(prepared.truth),
                "looked_at": ask.k,
            }
        return {
            "results": self._hits(answer.ranked, options.k, earlier),
            "before": None if before is None else self._hits(before, options.k, {}),
            "repair": repair,
            "confident": answer.confident,
            "entropy": round(answer.entropy, 6),
            "method": ask.lane.method,
            "calibration": ask.calibration,
            "learned_batches": answer.learned,
            "text": prepared.text,
            "picture": prepared.picture,
            "truth": truth,
            "timings_ms": {name: round(ms, 3) for name, ms in answer.timings.items()},
        }

    def _hits(self, ranked: Ranked, k: int, earlier: dict[int, int]) -> list[dict[str, Any]]:
        captions: Sequence[str] | None = self.index.captions
        return [
            {
                "position": int(position),
                "id": self.index.ids[int(position)],
                "caption": None if captions is None else captions[int(position)],
                "score": float(score),
                "before": earlier.get(int(position)),
            }
            for position, score in zip(ranked.positions[:k], ranked.scores[:k], strict=True)
        ]


def _ranks(ranked: Ranked) -> dict[int, int]:
    return {int(position): rank for rank, position in enumerate(ranked.positions)}
