"""What a server sends, taken apart: h11 does it, or httptools where it is installed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from ._errors import RemoteProtocolError

# Bytes of the longest head of a reply.
LONGEST_HEAD = 100 * 1024


class Head(NamedTuple):
    """Status line and headers of a reply."""

    version: bytes
    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]


class Sink(Protocol):
    """Takes the parts of a reply, in their order."""

    def on_head(self, head: Head) -> None:
        """The head is there."""

    def on_data(self, data: bytes) -> None:
        """A piece of the body is there."""

    def on_end(self, keep: bool) -> None:
        """The reply is whole; the connection can be used again if `keep`."""


class Reader(Protocol):
    """Reads the replies of one connection, one after the other."""

    def start(self, method: str, sink: Sink) -> None:
        """Expect the reply to a request."""

    def feed(self, data: bytes) -> None:
        """Read what arrived; empty when the server will send no more.

        Raises:
            RemoteProtocolError: That is no reply, or less than the whole.
        """


def new_reader() -> Reader:
    """Make the reader of a connection."""
    return _kind()()


@functools.cache
def _kind() -> Callable[[], Reader]:
    try:
        httptools = import_module("httptools")
    except ModuleNotFoundError:
        from ._h11_reader import H11Reader  # takes its time to load

        return H11Reader
    return functools.partial(HttptoolsReader, httptools)


class HttptoolsReader:
    """Reads with httptools, in a third of the time."""

    _sink: Sink
    _parser: Any

    def __init__(self, httptools: Any) -> None:
        self._httptools = httptools
        self._method = ""

    def start(self, method: str, sink: Sink) -> None:
        """Expect the reply to a request."""
        self._sink, self._method = sink, method
        self._parser = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._reason, self._read = b"", 0
        self._begun = self._ended = self._interim = False

    def feed(self, data: bytes) -> None:
        """Read what arrived; empty when the server will send no more."""
        if not data:
            return self._stop()
        if self._parser is None:
            # One for each reply: what came after a reply cannot be taken for the next. It takes
            # 1 KB, which a request that waits has no use for.
            self._parser = self._httptools.HttpResponseParser(self)
        if not self._begun:
            self._read += len(data)
        try:
            self._parser.feed_data(data)
        except (self._httptools.HttpParserError, self._httptools.HttpParserUpgrade) as exc:
            if not self._ended:
                # The text may hold an excerpt, as the exception does.
                reason = type(exc).__name__
                raise RemoteProtocolError(f"no valid reply: {reason}") from None
            self._sink.on_end(False)
        if not self._begun and self._read > LONGEST_HEAD:
            raise RemoteProtocolError("no valid reply: the head is too long")
        return None

    def _stop(self) -> None:
        if not self._begun:
            raise RemoteProtocolError("the server closed without a reply")
        framed = {name.lower() for name, _ in self._headers}
        if framed & {b"content-length", b"transfer-encoding"}:
            raise RemoteProtocolError("no valid reply: the body is not whole")
        self._finish(keep=False)

    def _finish(self, *, keep: bool) -> None:
        self._ended = True
        self._sink.on_end(keep)

    # httptools calls these. Whatever comes after the end is told by a second end.

    def on_message_begin(self) -> None:
        if self._ended:
            self._sink.on_end(False)

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._begun:  # trailers are of no use to anyone here
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        self._interim = status < 200
        if self._interim:
            self._headers, self._reason = [], b""
            return
        if self._ended:
            return
        self._begun = True
        version = b"HTTP/" + self._parser.get_http_version().encode()
        self._sink.on_head(Head(version[5:], status, self._reason, self._headers))
        if self._method == "HEAD":
            self._finish(keep=self._parser.should_keep_alive())

    def on_body(self, data: bytes) -> None:
        if self._ended:
            self._sink.on_end(False)
        else:
            self._sink.on_data(data)

    def on_message_complete(self) -> None:
        if not self._ended and not self._interim:
            self._finish(keep=self._parser.should_keep_alive())
