"""What a server sends, taken apart by h11."""

from __future__ import annotations

import functools
from typing import Any

import h11

from ._errors import RemoteProtocolError
from ._readers import LONGEST_HEAD, Head, Sink


class H11Reader:
    """Reads with h11, which is there wherever httpx is."""

    _sink: Sink

    def __init__(self) -> None:
        self._machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD)

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
                    raise RemoteProtocolError("the server closed without a reply")
        except h11.RemoteProtocolError as exc:
            # What stands after a colon is an excerpt, in which a credential may be repeated.
            reason = str(exc).partition(":")[0]
            raise RemoteProtocolError(f"no valid reply: {reason}") from None


_SENT = h11.EndOfMessage()


@functools.lru_cache(32)
def _stand_in(method: str) -> h11.Request:
    return h11.Request(method=method, target="/", headers=[("host", "-")])


def _head(event: Any) -> Head:
    return Head(event.http_version, event.status_code, event.reason, event.headers.raw_items())
