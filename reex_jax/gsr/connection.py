"""Connections to a server that may do anything, from an environment that may say anything."""

import os
import ssl
import zlib
from collections.abc import Mapping
from typing import Any

import httpx2

from reex_jax.errors import UserError
from reex_jax.redaction import redacted

LARGEST = 2**20
"""Bytes that are read of a reply, packed and unpacked."""
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class TooLargeError(ValueError):
    """A reply that is longer than any repair could make it."""


def open_client(headers: Mapping[str, str], connections: int, timeout_s: float) -> Any:
    """An `httpx2.AsyncClient`.

    Raises:
        UserError: an environment variable about proxies or certificates names what is not there;
            the message names the variable.
    """
    _check_certificates()
    try:
        return httpx2.AsyncClient(
            headers={"Accept-Encoding": "gzip, deflate", **headers},
            limits=httpx2.Limits(max_connections=connections),
            timeout=timeout_s,
        )
    except (OSError, ssl.SSLError) as error:
        names = " or ".join(name for name in _CERTIFICATES if os.environ.get(name))
        raise UserError(
            f"the certificates of {names or 'this system'} cannot be loaded ({error}); name a file "
            "that holds some, or unset the variable"
        ) from error
    except Exception as error:  # ImportError, ValueError, InvalidURL: all from proxies
        raise UserError(_proxy_message(error)) from error


def _check_certificates() -> None:
    for name, exists in zip(_CERTIFICATES, (os.path.isfile, os.path.isdir), strict=True):
        place = os.environ.get(name)
        if place and not exists(place):
            raise UserError(
                f"the environment variable {name} is {place!r}, which does not exist; name one "
                "that does, or unset it"
            )


def _proxy_message(error: Exception) -> str:
    found = {
        name: value
        for name, value in os.environ.items()
        if name.lower() in ("all_proxy", "http_proxy", "https_proxy", "no_proxy") and value
    }
    kinds = ("socks", "://")
    blamed = next(
        (name for kind in kinds for name, value in found.items() if kind in value.lower()),
        next(iter(found), ""),
    )
    if not blamed:
        return f"no connection can be made ({type(error).__name__}: {redacted(str(error))})"
    shown = f"{blamed} is {redacted(found[blamed])!r}"
    if isinstance(error, ImportError):
        return (
            f"the environment variable {shown}; proxies of that kind need the package socksio: "
            "install it, name an HTTP proxy, or unset the variable"
        )
    return (
        f"the environment variable {shown}, which cannot be used ({type(error).__name__}); write "
        "http://host:port, or unset the variable"
    )


async def read_body(reply: httpx2.Response) -> bytes:
    """The unpacked body of a streamed reply.

    Raises:
        TooLargeError: it is longer than `LARGEST`, as it comes or unpacked.
        httpx2.DecodingError: it cannot be unpacked.
    """
    parts, size = [], 0
    async for part in reply.aiter_raw():
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise TooLargeError(f"a reply of more than {LARGEST} bytes")
    return _unpacked(b"".join(parts), reply.headers.get("content-encoding", "").strip().lower())


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise httpx2.DecodingError(f"a reply packed as {encoding[:20]!r}, which nobody asked for")
    for window in (47, -15):  # either header, or none at all
        unpacker = zlib.decompressobj(window)
        try:
            unpacked = unpacker.decompress(body, LARGEST + 1)
        except zlib.error:
            continue
        if len(unpacked) > LARGEST:
            raise TooLargeError(f"a packed reply of more than {LARGEST} bytes")
        if unpacker.eof:
            return unpacked
    raise httpx2.DecodingError("a packed reply that cannot be unpacked")
