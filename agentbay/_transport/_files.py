"""Files on their way to and from addresses that carry their own credential."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio
import attrs

from .._deferred import Deferred
from .._value import Value
from ..errors import RequestTimeoutError
from ._caller import Caller

if TYPE_CHECKING:
    import httpx

    from .. import _download as download
    from .. import _exchange as exchanges
else:
    download = Deferred("agentbay._download")
    exchanges = Deferred("agentbay._exchange")

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class Stored(Value):
    """What a store answered when it took a file.

    Attributes:
        status: The HTTP status.
        etag: What it calls this state of the file; empty when it did not say.
        told: The hash of what it has; None when it did not say.
    """

    status: int
    etag: str
    told: download.Told | None = None


class FileCaller(Caller):
    """Carries files, piece by piece."""

    async def upload(self, url: str, data: bytes, *, timeout: float = 300.0) -> None:
        """Put bytes at an address that carries its own credential.

        Raises:
            APIError: The address does not take them.
            TransportError: No reply came back.
        """

        async def whole() -> AsyncGenerator[bytes, None]:
            yield data

        with anyio.move_on_after(timeout):
            await self.put_file(url, whole, len(data), idle=timeout)
            return
        raise RequestTimeoutError(f"the upload was not done within {timeout:g} s")

    async def put_file(
        self,
        url: str,
        chunks: Callable[[], AsyncGenerator[bytes, None]],
        size: int,
        *,
        content_type: str | None = None,
        idle: float = 60.0,
    ) -> Stored:
        """Put a file at an address that carries its own credential, piece by piece.

        Neither the API key nor the address is shown to anyone else: a redirect is followed
        with nothing but the file. What fails for a moment is tried again, as the policy says.

        Args:
            url: Where to.
            chunks: Gives the pieces; asked once more after each redirect and each failure.
            size: How many bytes they are together.
            content_type: Media type that goes with the file; none by default.
            idle: Seconds without progress until the exchange is given up.

        Raises:
            APIError: The address does not take the file.
            TransportError: No reply came back.
        """
        headers = {"content-length": str(size)}
        if content_type is not None:
            headers["content-type"] = content_type

        async def read(exchange: exchanges.FileExchange, response: httpx.Response) -> Stored:
            if response.status_code not in (200, 201, 204):
                raise exchange.refused(response.status_code)
            told = download.Told.by_tag(response.headers)
            return Stored(response.status_code, response.headers.get("etag", ""), told)

        def exchange() -> exchanges.FileExchange:
            return exchanges.FileExchange("PUT", "the upload", headers, idle, chunks)

        return await self._exchanged("PutFile", url, exchange, read)

    async def get_file(
        self,
        url: str,
        write: Callable[[bytes], Awaitable[object]],
        rewind: Callable[[], Awaitable[object]] | None = None,
        *,
        idle: float = 60.0,
    ) -> int:
        """Get a file from an address that carries its own credential, piece by piece.

        What breaks half-way is gone on with, where the server can do that and still has the same
        file; else it begins again. Length and hash are checked as far as the server tells them.

        Args:
            url: Where from; redirects are followed, without the API key.
            write: Takes each piece.
            rewind: Drops what was written, because the file begins again; without it, that is
                an error.
            idle: Seconds without progress until the exchange is given up.

        Returns:
            The HTTP status.

        Raises:
            APIError: The address does not give the file.
            TransportError: The file did not arrive, or not all of it.
            FileTransferError: What arrived has not the hash that the server tells.
        """
        arriving = download.Download(write, rewind)

        def exchange() -> exchanges.FileExchange:
            return exchanges.FileExchange("GET", "the download", arriving.headers(), idle)

        return await self._exchanged("GetFile", url, exchange, arriving.read)

    async def _exchanged(
        self,
        name: str,
        url: str,
        exchange: Callable[[], exchanges.FileExchange],
        read: Callable[[exchanges.FileExchange, httpx.Response], Awaitable[T]],
    ) -> T:
        client = (await self._clients.get()).http

        async def once(left: float) -> T:
            return await exchange().run(client, url, read, trace, left)

        with self.traced(name) as trace:
            # Both ways: the address stands for one state of one file.
            return await self.repeat(once, trace, math.inf, harmless=True)
