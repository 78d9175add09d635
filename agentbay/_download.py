"""A file that arrives: what there is of it so far, how the rest is asked for, and its check."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import attrs

from .errors import FileTransferError, TransportError

if TYPE_CHECKING:
    import httpx

    from ._exchange import FileExchange

_RANGE = re.compile(r"bytes (?P<first>\d{1,18})-\d{1,18}/(?P<total>\d{1,18})")
_DIGEST = re.compile(r"\bsha-256=:(?P<digest>[A-Za-z0-9+/]{43}=):")
_MD5_TAG = re.compile(r'"(?P<digest>[0-9A-Fa-f]{32})"')

# Headers by which stores say that an entity tag is not the MD5 of the content.
_SEALED = ("x-oss-server-side-encryption", "x-amz-server-side-encryption")
_KIND = "x-oss-object-type"


@attrs.frozen
class Told:
    """The hash of a whole file, as a server tells it."""

    algorithm: str
    digest: bytes

    @classmethod
    def by(cls, headers: httpx.Headers) -> Told | None:
        """What the headers of a reply with a file tell; None when that is no hash of it."""
        if found := _DIGEST.search(headers.get("repr-digest", "")):
            return cls("sha256", base64.b64decode(found["digest"]))
        if "content-md5" in headers:
            try:
                return cls("md5", base64.b64decode(headers["content-md5"], validate=True))
            except ValueError:
                return None
        return cls.by_tag(headers)

    @classmethod
    def by_tag(cls, headers: httpx.Headers) -> Told | None:
        """What the entity tag in some headers tells; None when that is no hash of a file."""
        # The entity tag is the MD5 of what was put in one piece, and is stored as it is.
        tag = _MD5_TAG.fullmatch(headers.get("etag", ""))
        sealed = {headers.get(name, "AES256") for name in _SEALED} != {"AES256"}
        if tag is None or sealed or headers.get(_KIND, "Normal") != "Normal":
            return None
        return cls("md5", bytes.fromhex(tag["digest"]))

    def check(self, digest: bytes, what: str) -> None:
        """Compare with the hash of what is here.

        Raises:
            FileTransferError: It is another one.
        """
        if digest != self.digest:
            raise FileTransferError(
                f"{what} was damaged: its {self.algorithm} is not that of the store"
            )


class Download:
    """One file on its way here, in one attempt or more.

    An attempt that broke is gone on with when the server knows the same state of the file by a
    strong entity tag; else it begins again.

    Args:
        write: Takes each piece, one behind the other.
        rewind: Asked to drop what was written, when the file begins again; None when that
            cannot be dropped.
    """

    def __init__(
        self,
        write: Callable[[bytes], Awaitable[object]],
        rewind: Callable[[], Awaitable[object]] | None,
    ) -> None:
        self._write, self._rewind = write, rewind
        self._received = 0
        # Of the state of the file that is arriving, as far as the server told.
        self._tag = ""
        self._total: int | None = None
        self._told: Told | None = None
        self._hash: hashlib._Hash | None = None

    def headers(self) -> dict[str, str]:
        """What the next attempt asks for."""
        # A compressed file would have another length than the one that is told.
        plain = {"accept-encoding": "identity"}
        if not (self._received and self._tag):
            return plain
        return {**plain, "range": f"bytes={self._received}-", "if-range": self._tag}

    async def read(self, exchange: FileExchange, response: httpx.Response) -> int:
        """Take in what a reply brings, to the end of the file; gives the HTTP status.

        Raises:
            APIError: The server does not give the file.
            TransportError: Not all of it arrived.
            FileTransferError: It is not what the server has, by the hash that it tells.
        """
        if not self._goes_on(response):
            if response.status_code != 200:
                raise exchange.refused(response.status_code)
            await self._begin(exchange, response)
        async for chunk in response.aiter_bytes():
            if self._hash is not None:
                self._hash.update(chunk)
            await exchange.undisturbed(self._write, chunk)
            self._received += len(chunk)
        self._check()
        return response.status_code

    def _goes_on(self, response: httpx.Response) -> bool:
        """Whether a reply brings the rest of the file that is arriving.

        Raises:
            TransportError: It brings a part of another one; the next attempt begins again.
        """
        if "range" not in response.request.headers or response.status_code not in (206, 416):
            return False
        found = _RANGE.fullmatch(response.headers.get("content-range", ""))
        if (
            found is not None
            and response.status_code == 206
            and int(found["first"]) == self._received
            and self._total in (None, int(found["total"]))
            and response.headers.get("etag") == self._tag
        ):
            self._total = int(found["total"])
            return True
        self._tag = ""
        raise TransportError("the download cannot go on: the store has another file by this time")

    async def _begin(self, exchange: FileExchange, response: httpx.Response) -> None:
        if self._received:
            if self._rewind is None:
                raise FileTransferError("the download broke, and what arrived cannot be dropped")
            await exchange.undisturbed(self._rewind)
            self._received = 0
        headers = response.headers
        self._tag, self._total, self._told, self._hash = "", None, None, None
        if headers.get("content-encoding", "identity") != "identity":
            return  # what is told is about something else than what is read
        tag, length = headers.get("etag", ""), headers.get("content-length", "")
        if tag.startswith('"') and headers.get("accept-ranges") != "none":
            self._tag = tag
        if length.isascii() and length.isdigit():
            self._total = int(length)
        self._told = Told.by(headers)
        if self._told is not None:
            self._hash = hashlib.new(self._told.algorithm, usedforsecurity=False)

    def _check(self) -> None:
        if self._total is not None and self._received != self._total:
            raise TransportError(
                f"the download ended after {self._received} of {self._total} bytes"
            )
        if self._told is not None and self._hash is not None:
            self._told.check(self._hash.digest(), "the download")
