"""A stand-in for the service and its store that costs little: bodies are counted, and dropped."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from typing import Any, cast
from urllib.parse import urlsplit

# Bytes of the begin and of the end of a body that are looked at.
_PEEK = 4096

_BLOCK = bytes(range(256)) * 1024

_TOOLS = json.dumps(
    [
        {"name": "write_file", "server": "wuying_filesystem"},
        {"name": "read_file", "server": "wuying_filesystem"},
        {"name": "shell", "server": "wuying_shell"},
    ]
)
_SHELL = json.dumps({"exit_code": 0, "stdout": "hello\n", "stderr": "", "traceId": "t-1"})
_ACTION = re.compile(r"[?&]Action=(\w+)")
_FILE_SIZE = re.compile(rb"%2F(\d+)\.bin")


class _Service:
    """What all connections share.

    Attributes:
        held: Replies to `shell` that wait until somebody asks for them, or None.
    """

    base = ""
    sessions = 0
    held: list[tuple[_Connection, bytes]] | None = None


class _Connection(asyncio.Protocol):
    """A connection that stays open."""

    def __init__(self) -> None:
        self._head: bytes = b""
        self._begin: bytes = b""
        self._end: bytes = b""
        self._left: int = 0
        self._digest = hashlib.md5(usedforsecurity=False)
        self._room = asyncio.Event()
        self._room.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def data_received(self, data: bytes) -> None:
        if not self._left:
            whole = self._head + data
            end = whole.find(b"\r\n\r\n")
            if end < 0:
                self._head = whole
                return
            self._head, data = whole[:end], whole[end + 4 :]
            self._begin_body(self._head.lower())
        self._left -= len(data)
        self._take(data)
        if not self._left:
            head, self._head = self._head, b""
            self._answer(head.decode("latin-1"))

    def _begin_body(self, head: bytes) -> None:
        assert b"\r\ntransfer-encoding:" not in head
        length = head.partition(b"content-length:")[2].partition(b"\r")[0]
        self._left = int(length or 0)
        self._begin = self._end = b""
        self._digest = hashlib.md5(usedforsecurity=False)
        if b"expect: 100-continue" in head:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def say(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        lines = "".join(f"{line}\r\n" for line in (*headers, f"Content-Length: {len(body)}"))
        self._transport.write(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body)

    def _take(self, data: bytes) -> None:
        if self._head.startswith(b"PUT"):
            self._digest.update(data)
            return
        self._begin = (self._begin + data[:_PEEK])[:_PEEK]
        self._end = (self._end + data[-_PEEK:])[-_PEEK:]

    def _answer(self, head: str) -> None:
        method, target, _ = head.split(" ", 2)
        path = urlsplit(target).path
        if path == "/control":
            self._control(target.partition("?")[2])
        elif path.startswith("/store/") and method == "PUT":
            self.say(b"", f'ETag: "{self._digest.hexdigest()}"')
        elif path.startswith("/store/"):
            task = asyncio.get_running_loop().create_task(self._give(int(path[7:])))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif path == "/link/callTool":
            self._reply_to_tool({"data": json.dumps({"result": self._tool()})})
        else:
            action = _ACTION.search(target)
            self._act(action[1] if action else "")

    def _act(self, action: str) -> None:
        if action == "CallMcpTool":
            self._reply_to_tool(_envelope(self._tool()))
        elif action == "CreateMcpSession":
            _Service.sessions += 1
            self.say(json.dumps(_envelope(_session(b"ImageId=link" in self._begin))).encode())
        elif action == "GetAndLoadInternalContext":
            store = {"ContextId": "c-1", "ContextPath": "/t", "ContextType": "file_transfer"}
            self.say(json.dumps(_envelope([store])).encode())
        elif action in ("GetContextFileUploadUrl", "GetContextFileDownloadUrl"):
            size = _FILE_SIZE.search(self._begin)
            url = f"{_Service.base}/store/{int(size[1]) if size else 0}?Signature=s"
            self.say(json.dumps(_envelope({"Url": url, "ExpireTime": 4102444800})).encode())
        else:
            self.say(json.dumps(_envelope({})).encode())

    def _tool(self) -> dict[str, Any]:
        text = _SHELL if self._is_shell() else "Success"
        return {"content": [{"type": "text", "text": text}], "isError": False}

    def _is_shell(self) -> bool:
        return bool(re.search(rb"Name=shell\b|\"tool\":\s?\"shell\"", self._begin + self._end))

    def _reply_to_tool(self, reply: dict[str, Any]) -> None:
        body = json.dumps(reply).encode()
        if _Service.held is not None and self._is_shell():
            _Service.held.append((self, body))
        else:
            self.say(body)

    def _control(self, what: str) -> None:
        """Hold what is asked, tell how much is held, or let it go."""
        held = _Service.held or []
        if what == "hold":
            _Service.held = []
        elif what == "go":
            _Service.held = None
            for connection, body in held:
                connection.say(body)
        self.say(str(len(held)).encode())

    async def _give(self, size: int) -> None:
        """Send a file at the pace of whoever takes it."""
        tag = f'ETag: "{_md5(size)}"\r\n'
        self._transport.write(f"HTTP/1.1 200 OK\r\n{tag}Content-Length: {size}\r\n\r\n".encode())
        while size and not self._transport.is_closing():
            await self._room.wait()
            self._transport.write(_BLOCK[:size])
            size -= len(_BLOCK[:size])


def _md5(size: int) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for start in range(0, size, len(_BLOCK)):
        digest.update(_BLOCK[: size - start])
    return digest.hexdigest()


def _envelope(data: Any) -> dict[str, Any]:
    return {"RequestId": "r-1", "HttpStatusCode": 200, "Code": "ok", "Success": True, "Data": data}


def _session(linked: bool) -> dict[str, Any]:
    name = f"s-{_Service.sessions:06}"
    link = {"LinkUrl": f"{_Service.base}/link", "Token": f"tok-{name}"} if linked else {}
    return {
        "SessionId": name, "AppInstanceId": "p-1", "ResourceId": "p-1", "ResourceUrl": "",
        "Success": True, "VpcResource": False, "ToolList": _TOOLS, **link,
    }  # fmt: skip


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    _Service.base = f"http://127.0.0.1:{port}"
    print(port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
