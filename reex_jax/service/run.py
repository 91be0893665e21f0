"""Runs the service under uvicorn until it is told to end."""

import logging
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from reex_jax.errors import UserError
from reex_jax.service.parts import Parts

_GRACE_S = 10  # for answers under way, when the service ends
_KEEP_ALIVE_S = 30
_MOST_CONNECTIONS = 2048


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that listens, before anything is loaded.

    Raises:
        UserError: the address is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host.strip("[]"), port))
    except OSError as error:
        made.close()
        raise UserError(
            f"{host}:{port} cannot be listened on ({error.strerror or error}); choose another "
            "with --serve.port=PORT or --serve.host=ADDRESS"
        ) from error
    return made


def address_of(bound: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def run_app(app: ASGIApp, parts: Parts, bound: socket.socket, said: Callable[[str], None]) -> None:
    """Serves until SIGTERM or Ctrl-C, then ends in order; the signal is raised again.

    Args:
        app: what is served.
        parts: what it works with.
        bound: where.
        said: is told where it is found.

    Raises:
        UserError: it could not begin; it has ended then.
    """
    config = uvicorn.Config(
        app,
        http="httptools",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,  # addresses may hold what was asked
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        limit_concurrency=_MOST_CONNECTIONS,
        ws="none",
    )
    said(address_of(bound))
    server = uvicorn.Server(config)
    parts.give_up = lambda: setattr(server, "should_exit", True)
    server.run(sockets=[bound])
    if parts.failure:
        raise UserError(f"the service could not begin: {parts.failure}")
