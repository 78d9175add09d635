"""A stand-in for the service that costs little: replies are ready, and requests barely read."""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
from typing import Any, cast

_HEADERS = (
    "Date: Fri, 06 Nov 2026 08:00:00 GMT\r\n"
    "Content-Type: application/json;charset=utf-8\r\n"
    "Connection: keep-alive\r\n"
    "Keep-Alive: timeout=25\r\n"
    "Access-Control-Allow-Origin: *\r\n"
    "x-acs-request-id: 0A1B2C3D-4E5F-5678-9ABC-0123456789AB\r\n"
    "x-acs-trace-id: 7d3f1e2c9b8a4f5e6d7c8b9a0f1e2d3c\r\n"
    "ETag: 1a2b3c4d5e6f708192a3b4c5d6e7f809\r\n"
)


def _reply(data: Any) -> bytes:
    envelope = {"RequestId": "r-1", "HttpStatusCode": 200, "Code": "ok", "Success": True}
    body = json.dumps({**envelope, "Data": data}).encode()
    return f"HTTP/1.1 200 OK\r\n{_HEADERS}Content-Length: {len(body)}\r\n\r\n".encode() + body


_SHELL = json.dumps({"exit_code": 0, "stdout": "hello\n", "stderr": "", "traceId": "t-1"})
_TOOLS = json.dumps([{"name": "shell", "server": "wuying_shell"}])
_SESSION = {
    "SessionId": "s-1", "AppInstanceId": "p-1", "ResourceId": "p-1", "ResourceUrl": "",
    "Success": True, "VpcResource": False, "ToolList": _TOOLS,
}  # fmt: skip
_REPLIES = {
    b"CallMcpTool": _reply({"content": [{"type": "text", "text": _SHELL}], "isError": False}),
    b"CreateMcpSession": _reply(_SESSION),
}
_OTHER = _reply({})


class _Connection(asyncio.Protocol):
    """Answers each request after a while; counts connections."""

    count = 0
    latency = 0.0
    one_way = 0.0

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        _Connection.count += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = head.lower().partition(b"content-length:")[2].partition(b"\r")[0]
            size = end + 4 + int(length or 0)
            if len(self._buffer) < size:
                return
            self._buffer = self._buffer[size:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        if head.startswith(b"GET /count"):
            self._transport.write(_reply(_Connection.count))
            return
        action = head.partition(b"Action=")[2].partition(b" ")[0].partition(b"&")[0]
        answer = _REPLIES.get(action, _OTHER)
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self._transport.write, answer)
        else:
            self._transport.write(answer)


async def _serve(options: argparse.Namespace) -> None:
    _Connection.latency = options.latency
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(options.certificate, options.key)
    loop = asyncio.get_running_loop()
    ports: dict[str, int] = {}
    for scheme, context in (("http", None), ("https", tls)):
        server = await loop.create_server(_Connection, "127.0.0.1", 0, ssl=context, backlog=4096)
        ports[scheme] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("certificate")
    parser.add_argument("key")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each reply")
    asyncio.run(_serve(parser.parse_args()))
