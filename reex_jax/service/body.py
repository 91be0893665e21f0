"""The body of a request, read within limits and only into memory."""

import asyncio

from starlette.requests import ClientDisconnect, Request


class Refused(Exception):
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
        Refused: it is longer than `most` bytes (413), came too slowly (408), or not whole (400).
    """
    said = request.headers.get("content-length", "")
    too_long = Refused(413, f"the body is larger than the {most:,} bytes that are allowed")
    if said.isdigit() and int(said) > most:
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
        raise Refused(408, f"the body did not arrive within {seconds:g} seconds") from error
    except ClientDisconnect as error:
        raise Refused(400, "the body ended before it was whole") from error
    return b"".join(parts)
