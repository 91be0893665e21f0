"""The body of a request, read within limits and only into memory."""

import asyncio

from starlette.requests import ClientDisconnect, Request


class RefusedError(Exception):
    """A request that is answered with a status and a line.

    Attributes:
        status: of HTTP.
        retry_s: when to try again; None: not at all.
    """

    def __init__(self, status: int, text: str, retry_s: int | None = None) -> None:
        super().__init__(text)
        self.status, self.retry_s = status, retry_s


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """The whole body.

    Raises:
        RefusedError: it is longer than `most` bytes (413), came too slowly
            (408), or not whole (400).
    """
    length = request.headers.get("content-length", "")
    too_long = RefusedError(413, f"the body is larger than the {most:,} bytes allowed")
    if length.isdigit() and int(length) > most:
        raise too_long
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise too_long
                parts.append(part)
    except TimeoutError as error:
        said = f"the body did not arrive within {seconds:g} seconds"
        raise RefusedError(408, said) from error
    except ClientDisconnect as error:
        raise RefusedError(400, "the body ended before it was whole") from error
    return b"".join(parts)
