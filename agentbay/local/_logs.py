"""What a served engine logs: one line for each event, as text or as JSON, on standard error.

Requests are told by their action and outcome, never by their arguments or bodies.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import re
import select
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs

from ..protocol._calls import ACTIONS, TOOLS
from ._dispatch import named
from ._link_exchange import RefusedError

if TYPE_CHECKING:
    from .host import App, Message

Format = Literal["text", "json"]

_log = logging.getLogger(__name__)

_STDERR = 2
# Where the scope of a request has the action that was asked for.
CALL = "agentbay.call"

# Lines that wait for a reader; more are dropped, and counted.
_MOST_WAITING = 10_000
# Seconds for them to be written at the end, and how often somebody who reads on gets as much.
_END_LIMIT, _MOST_JOINS = 1.0, 30
_SECRET = re.compile(r"(?i)(bearer |(?:request|websocket)_ai/|token=|signature=)[^\s\"'/&]+")
# What is told of a request, in this order, and None where there is nothing to tell.
_FACTS = ("method", "route", "action", "tool", "session", "status", "result", "ms", "request_id")
_PLAIN = re.compile(r"[A-Za-z0-9-]{1,64}")


@contextmanager
def logging_to_stderr(format: Format, level: str, *, secrets: tuple[str, ...]) -> Generator[None]:
    """Log what this process does for the length of a block; secrets are left out."""
    root, ours = logging.getLogger(), logging.getLogger("agentbay")
    before = root.level, ours.level
    handler = _Lines(_Renderer(format, secrets))
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    ours.setLevel(level.upper())
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before[0])
        ours.setLevel(before[1])
        handler.close()


@contextmanager
def noted(level: int, **facts: object) -> Generator[dict[str, object]]:
    """Note the request that a block answers, however that ends.

    Args:
        level: That of the line in the log.
        facts: What is known of the request. The block adds more: `status` is that of HTTP,
            `result` says in a word how it ended, where the status does not tell.
    """
    begin = time.perf_counter()
    try:
        yield facts
    except RefusedError as exc:
        facts["status"] = exc.status
        raise
    except BaseException:  # cancelled too: the client has left
        facts.setdefault("result", "broken off")
        raise
    finally:
        facts.setdefault("result", _result(facts.get("status")))
        facts["ms"] = round((time.perf_counter() - begin) * 1000, 1)
        _log.log(level, "request", extra={"facts": {name: facts.get(name) for name in _FACTS}})


def tool_named(name: object) -> str | None:
    """The name of a tool that exists; anything else may be made up to mislead a reader."""
    if not isinstance(name, str):
        return None
    return None if named(TOOLS, name) is None else name


def identifier(text: object) -> str | None:
    """What clients call a session or a request, unless it could be something else."""
    return text if isinstance(text, str) and _PLAIN.fullmatch(text) else None


def logged(app: App) -> App:
    """Note each request to an application, and how it ended.

    The application may leave the action that it was asked for in the scope, as `CALL`.
    """

    async def call(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        # Whether an engine is healthy is asked all the time.
        healthy = scope.get("path") == "/healthz"
        level = logging.DEBUG if healthy else logging.INFO
        route = "health" if healthy else "api"
        with noted(level, method=scope.get("method"), route=route, action=_action(scope)) as facts:

            async def note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    facts["status"] = message["status"]
                    facts["request_id"] = _header(message, b"x-acs-request-id")
                await send(message)

            try:
                await app(scope, receive, note)
            finally:
                asked: object = scope.get(CALL)
                facts["session"] = identifier(getattr(asked, "session_id", None))
                facts["tool"] = tool_named(getattr(asked, "name", None))

    return call


def _result(status: object) -> str:
    if not isinstance(status, int) or status < 400:
        return "ok"
    return "refused" if status < 500 else "failed"


def _action(scope: Message) -> str | None:
    """The name of an action that exists, as for tools."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("Action", [""])
    name = _header(scope, b"x-acs-action") or query[0]
    return name if name in ACTIONS else None


def _header(message: Message, name: bytes) -> str | None:
    headers: list[tuple[bytes, bytes]] = message.get("headers", [])
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), None)


class _Renderer(logging.Formatter):
    def __init__(self, format: Format, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._as_json = format == "json"
        self._secrets = [secret for secret in secrets if secret]

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._clean(record.getMessage()),
        }
        facts: Mapping[str, object] = getattr(record, "facts", {})
        for name, value in facts.items():
            line[name] = self._clean(value) if isinstance(value, str) else value
        if record.exc_info:
            line["exception"] = self._clean(self.formatException(record.exc_info))
        whole = json.dumps(line) if self._as_json else _text(line)
        # Names of files that are not UTF-8 come as text that has no encoding.
        return whole.encode(errors="backslashreplace").decode()

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _SECRET.sub(r"\1***", text)


def _text(line: dict[str, object]) -> str:
    moment, level, logger, message, *_ = line.values()
    facts = [f"{name}={value}" for name, value in list(line.items())[4:] if value is not None]
    whole = " ".join([f"{moment} {str(level).upper():7} {logger}: {message}", *facts])
    # A line break in a message would look like another event.
    return whole.replace("\r", "\\r").replace("\n", "\n    ")


class _Lines(logging.Handler):
    """Writes in a thread of its own: a pipe that nobody reads holds no session up."""

    def __init__(self, renderer: _Renderer) -> None:
        super().__init__()
        self.setFormatter(renderer)
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_MOST_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="agentbay-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line, or drop it when too many wait."""
        if self._dropped and not self._waiting.full():
            dropped, self._dropped = self._dropped, 0
            facts = {"name": __name__, "levelname": "WARNING", "facts": {"lines": dropped}}
            self._put(logging.makeLogRecord({**facts, "msg": "dropped what nobody read"}))
        self._put(record)

    def close(self) -> None:
        """Write what waits, if somebody reads it."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=_END_LIMIT)
            self._thread.join(_END_LIMIT)
            for _ in range(_MOST_JOINS):
                if not self._thread.is_alive() or not _takes_more():
                    break
                self._thread.join(_END_LIMIT)
        super().close()

    def _put(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.put_nowait(f"{self.format(record)}\n".encode())
        except queue.Full:
            self._dropped += 1
        except Exception:  # noqa: BLE001 - a message that cannot be written stops no work
            self.handleError(record)

    def _write(self) -> None:
        # Not through sys.stderr: its lock would keep a process from ending when nobody reads.
        while (line := self._waiting.get()) is not None:
            with contextlib.suppress(OSError):
                while line:
                    line = line[os.write(_STDERR, line) :]


def _takes_more() -> bool:
    """Whether a line can be written at once; if not, nobody may be there to read it."""
    try:
        return bool(select.select([], [_STDERR], [], 0)[1])
    except (OSError, ValueError):  # it is closed, or cannot be asked
        return False
