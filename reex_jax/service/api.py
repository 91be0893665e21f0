"""The routes: each reads a request within its limits, and says what came of it."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reex_jax.corruptions.image.kinds import IMAGE_CORRUPTIONS
from reex_jax.corruptions.text.kinds import TEXT_CORRUPTIONS
from reex_jax.errors import UserError
from reex_jax.service.body import RefusedError, read_body
from reex_jax.service.gather import FullError, Slots
from reex_jax.service.metrics import CONTENT_TYPE
from reex_jax.service.openapi import document
from reex_jax.service.parts import Parts
from reex_jax.service.remote import LearnerGoneError
from reex_jax.service.schemas import PictureOptions, SearchRequest, complaint

_log = logging.getLogger(__name__)
M = TypeVar("M", bound=BaseModel)
_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_SIGNATURES = ((b"\x89PNG", "image/png"), (b"RIFF", "image/webp"), (b"\xff\xd8", "image/jpeg"))
_PAGES = {"/": "index.html", "/docs": "docs.html"}
_ORDER_S = 60.0
_STARTING_S, _FULL_S = 5, 1


def page_files() -> dict[str, bytes]:
    """The page's files by name, read once."""
    folder = files("reex_jax.service") / "page"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@dataclass(frozen=True, eq=False)
class Api:
    """The routes of one service.

    Attributes:
        parts: what does the work.
        page: names -> contents of the page's files.
    """

    parts: Parts
    page: dict[str, bytes]
    _searches: Slots = field(init=False)
    _uploads: Slots = field(init=False)

    def __post_init__(self) -> None:
        limits = self.parts.settings.limits
        object.__setattr__(self, "_searches", Slots(limits.queue))
        object.__setattr__(self, "_uploads", Slots(limits.uploads))

    def routes(self) -> list[Route]:
        """All of them."""
        made = {
            ("GET", "/health"): self.health,
            ("GET", "/ready"): self.ready,
            ("GET", "/metrics"): self.metrics,
            ("GET", "/openapi.json"): self.openapi,
            ("POST", "/v1/search"): self.search,
            ("POST", "/v1/search/image"): self.search_image,
            ("GET", "/v1/index"): self.index,
            ("GET", "/v1/items/{position:int}/thumbnail"): self.thumbnail,
            ("GET", "/v1/state"): self.state,
            ("GET", "/v1/state/history"): self.history,
            ("POST", "/v1/state/reset"): self.reset,
            ("POST", "/v1/state/save"): self.save,
        }
        routes = [Route(path, _plain(do), methods=[verb]) for (verb, path), do in made.items()]
        pages = [*_PAGES, *(f"/page/{name}" for name in self.page)]
        return routes + [Route(path, self.file, methods=["GET"]) for path in pages]

    async def health(self, request: Request) -> Response:
        """Whether the process lives."""
        return JSONResponse({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """Whether searches are answered."""
        parts = self.parts
        if not parts.ready:
            return _busy(f"starting: {parts.stage}", _STARTING_S)
        return JSONResponse({"status": "ready", "items": len(parts.index)})

    async def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        self.parts.metrics.under_way.set(self._searches.taken)
        return Response(self.parts.metrics.page(), media_type=CONTENT_TYPE)

    async def openapi(self, request: Request) -> Response:
        """The description of all this."""
        return JSONResponse(document(self.parts.settings))

    async def search(self, request: Request) -> Response:
        """By text, or by a sample."""
        limits = self.parts.settings.limits

        async def work() -> Any:
            most = 16 * limits.text + 4096  # JSON may escape every character
            body = await read_body(request, most, limits.read_s)
            return await self.parts.searcher.by_request(_model(SearchRequest, body))

        return await self._search(work)

    async def search_image(self, request: Request) -> Response:
        """By the bytes of a picture file."""
        limits = self.parts.settings.limits

        async def work() -> Any:
            given = request.query_params
            options = PictureOptions.model_validate(dict(given))
            with self._uploads():
                body = await read_body(request, int(limits.upload_mb * 1e6), limits.read_s)
                return await self.parts.searcher.by_picture(body, options)

        return await self._search(work)

    async def index(self, request: Request) -> Response:
        """What is searched, and what a request may choose."""
        parts, settings = self.parts, self.parts.settings
        demo = parts.searcher.demo
        return JSONResponse(
            {
                "items": len(parts.index),
                "modality": parts.index.modality,
                "model": parts.model_name,
                "backend": settings.search.backend,
                "candidates": parts.engine.reach,
                "methods": [*settings.methods, "none"],
                "calibration": settings.ranking.calibration,
                "repair": settings.gsr.rewriter or None,
                "learning": settings.learning.on,
                "limits": settings.limits.to_dict(),
                "noise": _kinds() if settings.noise else None,
                "samples": demo and {query: demo.count(query) for query in ("text", "image")},
            }
        )

    async def thumbnail(self, request: Request) -> Response:
        """A small picture of an item."""
        position = request.path_params["position"]
        if not 0 <= position < len(self.parts.index):
            return _problem(404, f"there is no item {position}")
        found = self.parts.index.thumbnail(position)
        if found is None:
            return _problem(404, f"item {position} has no picture")
        kind = next((kind for start, kind in _SIGNATURES if found.startswith(start)), None)
        headers = {"cache-control": "private, max-age=3600"}
        return Response(bytes(found), 200, headers, kind or "application/octet-stream")

    async def state(self, request: Request) -> Response:
        """What has been learned."""
        teacher, engine = self.parts.teacher, self.parts.engine
        views = [(lane, engine.view(lane)) for lane in engine.lanes]
        return JSONResponse(
            {
                "learning": teacher is not None,
                "ready": teacher is not None and teacher.ready,
                "idle": teacher is None or teacher.idle(),
                "lanes": [
                    {**lane._asdict(), "batches": view.batches, "restored": view.restored}
                    for lane, view in views
                ],
            }
        )

    async def history(self, request: Request) -> Response:
        """What happened to it."""
        most = request.query_params.get("most", "200")
        if not most.isdigit():
            return _problem(422, "most: give a whole number")
        return JSONResponse({"events": self.parts.history.latest(max(1, min(int(most), 2000)))})

    async def reset(self, request: Request) -> Response:
        """Back to the source model."""
        return await self._order("reset")

    async def save(self, request: Request) -> Response:
        """Writes what was learned to the disk now."""
        return await self._order("save")

    async def file(self, request: Request) -> Response:
        """The page."""
        path = request.url.path
        name = _PAGES.get(path) or path.rpartition("/")[2]
        headers = {"cache-control": "no-cache"}
        return Response(self.page[name], 200, headers, _TYPES[name.rpartition(".")[2]])

    async def _search(self, work: Callable[[], Awaitable[Any]]) -> Response:
        if not self.parts.ready:
            return _busy(f"starting: {self.parts.stage}", _STARTING_S)
        seconds = self.parts.settings.limits.answer_s + self.parts.settings.limits.read_s
        try:
            with self._searches():
                async with asyncio.timeout(seconds):
                    return JSONResponse(await work())
        except FullError:
            self.parts.metrics.refused.inc()
            return _busy("too many searches are under way", _FULL_S)
        except TimeoutError:
            return _busy("the answer took too long", _FULL_S)

    async def _order(self, name: str) -> Response:
        teacher = self.parts.teacher
        if teacher is None:
            return _problem(409, "the service learns nothing; start it with --serve.learning.on")
        if not teacher.ready:
            return _busy("the learner is starting", _STARTING_S)
        try:
            async with asyncio.timeout(_ORDER_S):
                lanes = await asyncio.wrap_future(teacher.order(name))
        except (TimeoutError, LearnerGoneError):
            return _busy("the learner does not answer", _STARTING_S)
        return JSONResponse({"done": name, "lanes": lanes})


def _plain(do: Callable[[Request], Awaitable[Response]]) -> Any:
    """A route whose errors are one line of JSON; what is nobody's fault is logged."""

    async def answered(request: Request) -> Response:
        try:
            return await do(request)
        except RefusedError as error:
            return _problem(error.status, str(error))
        except ValidationError as error:
            return _problem(422, complaint(error))
        except UserError as error:
            return _problem(422, str(error))
        except Exception as error:
            # Neither the message nor the values of a traceback: they may hold the query.
            _log.error("%s failed: %s", request.scope["path"], type(error).__name__)
            return _problem(500, "something went wrong here; the service goes on")

    return answered


def _model(kind: type[M], body: bytes) -> M:
    """A request from its JSON.

    Raises:
        RefusedError: it is no JSON object.
        ValidationError: keys or values are wrong.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "the body is no JSON") from error
    if not isinstance(values, dict):
        raise RefusedError(400, "the body is no JSON object")
    return kind.model_validate(values)


def _kinds() -> dict[str, dict[str, int]]:
    """Corruptions that may be asked for -> their highest severity."""
    return {
        "text": {name: kind.severities for name, kind in TEXT_CORRUPTIONS.items()},
        "image": {name: kind.severities for name, kind in IMAGE_CORRUPTIONS.items()},
    }


def _problem(status: int, text: str, **headers: str) -> JSONResponse:
    return JSONResponse({"error": text}, status, headers)


def _busy(text: str, seconds: int) -> JSONResponse:
    return JSONResponse({"error": text}, 503, {"retry-after": str(seconds)})
