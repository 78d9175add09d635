"""What a server sends, taken apart: h11 does it, or httptools where it is installed."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any, NamedTuple, Protocol

import h11
import httpx

# Bytes of the longest head of a reply.
_LONGEST_HEAD = 100 * 1024


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
            httpx.RemoteProtocolError: That is no reply, or less than the whole.
        """


def new_reader() -> Reader:
    """Make the reader of a connection."""
    httptools = _httptools()
    return H11Reader() if httptools is None else HttptoolsReader(httptools)


@functools.cache
def _httptools() -> Any:
    try:
        return import_module("httptools")
    except ModuleNotFoundError:
        return None


class H11Reader:
    """Reads with h11, which is there wherever httpx is."""

    _sink: Sink

    def __init__(self) -> None:
        self._machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)

    def start(self, method: str, sink: Sink) -> None:
        """Expect the reply to a request."""
        self._sink, machine = sink, self._machine
        if machine.our_state is not h11.IDLE:
            machine.start_next_cycle()
        # h11 has to know the method. The request itself is written by `_requests`.
        machine.send(_stand_in(method))
        machine.send(_SENT)

    def feed(self, data: bytes) -> None:
        """Read what arrived; empty when the server will send no more."""
        machine, sink = self._machine, self._sink
        try:
            machine.receive_data(data)
            while (event := machine.next_event()) is not h11.NEED_DATA:
                kind = type(event)
                if kind is h11.Data:
                    sink.on_data(bytes(event.data))  # type: ignore[union-attr]
                elif kind is h11.Response:
                    sink.on_head(_head(event))
                elif kind is h11.EndOfMessage:
                    done = machine.their_state is h11.DONE and machine.our_state is h11.DONE
                    sink.on_end(done and machine.trailing_data == (b"", False))
                    return
                elif kind is h11.ConnectionClosed:
                    raise httpx.RemoteProtocolError("the server closed without a reply")
        except h11.RemoteProtocolError as exc:
            # What stands after a colon is an excerpt, in which a credential may be repeated.
            reason = str(exc).partition(":")[0]
            raise httpx.RemoteProtocolError(f"no valid reply: {reason}") from None


_SENT = h11.EndOfMessage()


@functools.lru_cache(32)
def _stand_in(method: str) -> h11.Request:
    return h11.Request(method=method, target="/", headers=[("host", "-")])


def _head(event: Any) -> Head:
    return Head(event.http_version, event.status_code, event.reason, event.headers.raw_items())


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
                raise httpx.RemoteProtocolError(f"no valid reply: {reason}") from None
            self._sink.on_end(False)
        if not self._begun and self._read > _LONGEST_HEAD:
            raise httpx.RemoteProtocolError("no valid reply: the head is too long")
        return None

    def _stop(self) -> None:
        if not self._begun:
            raise httpx.RemoteProtocolError("the server closed without a reply")
        framed = {name.lower() for name, _ in self._headers}
        if framed & {b"content-length", b"transfer-encoding"}:
            raise httpx.RemoteProtocolError("no valid reply: the body is not whole")
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
