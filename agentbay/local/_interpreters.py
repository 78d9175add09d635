"""What runs the code of one language in a session: the engine's end of it.

The other end is a process of the session (`guest/kernels`), which keeps the state between
runs, and what it says is not trusted.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import attrs
from anyio.streams.buffered import BufferedByteReceiveStream

from ..protocol._wire import WireError, decode, from_json
from ..protocol.code import CodeError, CodeOutput, Language, RunCode
from ..protocol.code_stream import CodeEvent
from ._errors import ToolFailure
from ._sandbox.bwrap import SESSION_PYTHON, jupyter_packages

if TYPE_CHECKING:
    from .sandbox import Sandbox

# Those of the process itself, and what it takes to tell of them, in seconds.
_START_LIMIT, _STOP_LIMIT, _MARGIN = 20.0, 5.0, 4.0
_OPEN_LIMIT = 15.0

# Bytes of one message, and of all messages of one run: more than an honest process sends.
_LONGEST_LINE, _MOST = 64 << 20, 256 << 20

_CHART = re.compile(r"application/vnd\.vegalite\.v\d+(\.\d+)*\+json")
_CHART_NAME = "application/vnd.vegalite.v5+json"


@attrs.frozen
class Ended:
    """The end of a run."""

    error: CodeError | None = None
    execution_count: int | None = None
    seconds: float = 0.0


@attrs.frozen
class _Message:
    """What the process says."""

    run: int
    event: str
    text: str = ""
    main: bool = False
    mime: dict[str, Any] = attrs.field(factory=dict[str, Any])
    error: CodeError | None = None
    count: int | None = None
    time: float = 0.0


class Interpreter:
    """Runs code of one language, one piece after the other; belongs to the engine's loop."""

    def __init__(self, language: Language) -> None:
        self._language = language
        # Not a lock: a generator may be closed by another task than the one that began it.
        self._free = anyio.Semaphore(1)
        self._stream: anyio.abc.UNIXSocketStream | None = None
        self._received: BufferedByteReceiveStream | None = None
        self._runs = 0

    async def run(self, sandbox: Sandbox, call: RunCode) -> AsyncGenerator[CodeEvent | Ended, None]:
        """Run code and tell what it does, `Ended` last.

        Who leaves early, or is cancelled, closes the generator: that stops the code.

        Raises:
            ToolFailure: The language cannot be run here, or the process failed.
            EngineError: The session is gone (`SessionLost`).
        """
        limit = await self._turn(call.timeout_s)
        try:
            async with aclosing(self._run(sandbox, call, limit)) as events:
                async for event in events:
                    yield event
        finally:
            self._free.release()

    async def close(self) -> None:
        """End the process; the next run begins with another one, and without any state."""
        stream, self._stream, self._received = self._stream, None, None
        if stream is not None:
            with anyio.CancelScope(shield=True):
                await stream.aclose()

    async def _turn(self, limit: float) -> float:
        """Wait for earlier runs; what is left of the time."""
        deadline = anyio.current_time() + limit
        with anyio.move_on_after(limit):
            await self._free.acquire()
            return max(1.0, round(deadline - anyio.current_time(), 1))
        reason = f"the {self._language} interpreter was busy with another run for {limit:g} seconds"
        raise ToolFailure(reason, number=-1)

    async def _run(
        self, sandbox: Sandbox, call: RunCode, limit: float
    ) -> AsyncGenerator[CodeEvent | Ended, None]:
        if self._stream is None:
            await self._open(sandbox)
        self._runs += 1
        request = {"run": self._runs, "code": call.code, "time_limit": limit}
        await self._send({**request, "environment": sandbox.environment})
        # A run that was left early may have to be stopped before this one begins.
        deadline = anyio.current_time() + _START_LIMIT + _STOP_LIMIT + _MARGIN
        size, ended = 0, False
        try:
            while not ended:
                line = await self._line(deadline)
                size += len(line)
                message = await self._understood(line, size)
                if message.run != self._runs:
                    continue
                if message.event == "begin":
                    deadline = anyio.current_time() + limit + _STOP_LIMIT + _MARGIN
                    continue
                ended = message.event in ("end", "refused")
                yield _event(message)
        finally:
            if not ended and self._stream is not None:
                with anyio.move_on_after(1, shield=True):
                    await self._send({"stop": self._runs})

    async def _open(self, sandbox: Sandbox) -> None:
        arguments = {
            "command": _command(self._language),
            "python": _python(self._language, isolated=sandbox.isolated),
            "environment": sandbox.environment,
        }
        sock = await sandbox.open("interpreter", arguments, time_limit=_OPEN_LIMIT)
        try:
            self._stream = await anyio.abc.UNIXSocketStream.from_socket(sock)
        except BaseException:  # cancelled too: nobody else closes it
            sock.close()
            raise
        self._received = BufferedByteReceiveStream(self._stream)

    async def _send(self, request: dict[str, Any]) -> None:
        assert self._stream is not None
        try:
            with anyio.fail_after(_OPEN_LIMIT):
                await self._stream.send(json.dumps(request).encode() + b"\n")
        except (anyio.BrokenResourceError, TimeoutError) as exc:
            raise await self._lost() from exc

    async def _line(self, deadline: float) -> bytes:
        if self._received is None:
            raise await self._lost()
        try:
            with anyio.fail_after(deadline - anyio.current_time()):
                return await self._received.receive_until(b"\n", _LONGEST_LINE)
        except TimeoutError as exc:
            # A session that was paused meanwhile goes on later, so the process is left alone.
            reason = f"the {self._language} interpreter did not answer in time"
            raise ToolFailure(reason, number=-1) from exc
        except (
            anyio.IncompleteRead,
            anyio.EndOfStream,
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
            anyio.DelimiterNotFound,
        ) as exc:
            raise await self._lost() from exc

    async def _understood(self, line: bytes, size: int) -> _Message:
        try:
            if size > _MOST:
                raise WireError("the run says too much")
            return decode(_Message, from_json(line.decode(errors="replace")))
        except WireError as exc:
            await self.close()
            raise ToolFailure("the session sent a reply that is not valid", number=-1) from exc

    async def _lost(self) -> ToolFailure:
        await self.close()
        reason = f"the {self._language} interpreter ended: its state is lost"
        return ToolFailure(f"{reason}, the next run begins anew", number=-1)


def _command(language: Language) -> list[str]:
    return ["node"] if language is Language.JAVASCRIPT else ["jupyter", language.value]


def _python(language: Language, *, isolated: bool) -> str | None:
    """The Python that has what the language needs; None for the one of the session itself.

    Raises:
        ToolFailure: None has it.
    """
    if language is Language.JAVASCRIPT:
        return None
    for name in ("jupyter_client", "ipykernel"):
        if importlib.util.find_spec(name) is None:
            raise ToolFailure(
                f"{language} needs {name}, which the environment of the engine does not have: "
                '`pip install "agentbay-sdk[local]"`, then create a session'
            )
    if not isolated:
        return sys.executable
    return SESSION_PYTHON if jupyter_packages() is not None else None


def _event(message: _Message) -> CodeEvent | Ended:
    if message.event == "end":
        return Ended(message.error, message.count, message.time)
    if message.event == "refused":
        raise ToolFailure(message.text)
    if message.event == "result":
        return CodeEvent("result", result=_output(message.mime, main=message.main))
    return CodeEvent("stderr" if message.event == "stderr" else "stdout", message.text)


def _output(mime: dict[str, Any], *, main: bool) -> CodeOutput:
    """A value that code showed; one that has no known format is named by its formats."""
    formats = {_CHART_NAME if _CHART.fullmatch(k) else k: value for k, value in mime.items()}
    try:
        output = decode(CodeOutput, formats)
    except WireError:
        output = CodeOutput()
    if not output.formats():
        output = CodeOutput(f"[{', '.join(mime)}]")
    return attrs.evolve(output, is_main_result=main)
