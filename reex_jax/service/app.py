"""The service as an ASGI application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from reex_jax.service.api import Api, page_files
from reex_jax.service.door import Door
from reex_jax.service.parts import Parts
from reex_jax.settings.service import is_loopback

_OWN = ("127.0.0.1", "localhost", "[::1]")


def make_app(parts: Parts, token: str = "") -> ASGIApp:
    """The application: it begins and ends with its server.

    Args:
        parts: what does the work.
        token: that requests need; "" for none.
    """
    api = Api(parts, page_files())
    routes = api.routes()

    def report(beginning: "asyncio.Future[None]") -> None:
        error = None if beginning.cancelled() else beginning.exception()
        if error:
            parts.fail(error)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        parts.searcher.gather.start()
        beginning = asyncio.get_running_loop().run_in_executor(None, parts.begin)
        beginning.add_done_callback(report)
        yield
        await asyncio.gather(beginning, return_exceptions=True)
        await parts.end()

    inner = Starlette(
        routes=routes, lifespan=lifespan, exception_handlers={404: _missing, 405: _missing}
    )
    free = {route.path for route in routes if route.endpoint == api.file} | {"/health", "/ready"}
    settings = parts.settings
    names = {name.strip().lower() for name in settings.hosts.split(",") if name.strip()}
    # A token keeps strangers out by itself; beyond this machine names are not known here.
    named = (is_loopback(settings.host) or bool(names)) and not token
    return Door(
        inner,
        parts.metrics,
        token,
        free,
        {*names, *_OWN} if named else (),
        {route.path.replace(":int", "") for route in routes},
        settings.log_requests,
    )


async def _missing(request: Request, error: Exception) -> JSONResponse:
    status = getattr(error, "status_code", 404)
    said = "no such address; /docs lists all" if status == 404 else "another method is needed"
    return JSONResponse({"error": said}, status)
