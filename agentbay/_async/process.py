"""Programs that go on while their client does something else, or is gone."""

from __future__ import annotations

import base64
import codecs
import re
import signal as signals
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import attrs

from .._deadline import cleaning_up
from ..errors import AgentBayError, InvalidInputError, ProcessError, ProcessTimeoutError
from ..protocol._checks import as_dict, check_limits
from ..protocol.command import Shell
from . import _process_scripts as scripts
from ._pauses import pauses
from ._resource import Resource

if TYPE_CHECKING:
    from .session import AsyncSession

# Seconds between two looks at a process: at first, and at most.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

# Seconds for a script in the session; none of them waits for the process.
_SCRIPT_LIMIT, _MARGIN = 20.0, 15.0

# Bytes of one message; as base64 they pass through every way to a session.
_CHUNK = 32 * 1024

# Characters of an argument, of up to 4 bytes each: Linux takes no argument of 128 KiB.
_LONGEST_WORD = 32_000

_ID = re.compile(r"[0-9a-f]{32}")

# The signals of Linux, where sessions run; this program may run elsewhere.
_SIGNALS = re.compile(
    "HUP|INT|QUIT|ILL|TRAP|ABRT|BUS|FPE|KILL|USR1|SEGV|USR2|PIPE|ALRM|TERM|STKFLT|CHLD|CONT|STOP"
    "|TSTP|TTIN|TTOU|URG|XCPU|XFSZ|VTALRM|PROF|WINCH|IO|PWR|SYS"
)


class AsyncProcessHandle(Resource):
    """A program that runs in a session, with or without a client.

    It is started by ``session.command.start`` and found again, by another client too, by
    ``session.command.attach``. What it writes is kept in the session until the session ends.

    Example:
        ```python
        process = await session.command.start("make -j4")
        async for text in process.stdout():
            print(text, end="")
        print("exit code:", await process.wait())
        ```
    """

    def __init__(self, session: AsyncSession, id: str, pid: int) -> None:
        super().__init__(session)
        self._id = id
        self._pid = pid

    def __repr__(self) -> str:
        return f"AsyncProcessHandle({self._id!r}, pid={self._pid})"

    @property
    def id(self) -> str:
        """The identifier by which the process can be found again."""
        return self._id

    @property
    def pid(self) -> int:
        """Its number in the session."""
        return self._pid

    async def poll(self) -> int | None:
        """Tell the exit code, or None while the process runs.

        Raises:
            ProcessError: The session does not know the process, or knows that it ended but
                not how.
            AgentBayError: The session could not be asked.
        """
        look = await self._ask(scripts.LOOK, "", "1", "0")
        return look.exit_code

    async def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended, and tell its exit code.

        Args:
            timeout: Seconds to wait; without a limit by default. The process goes on after
                it.

        Returns:
            The exit code; 128 and the number of the signal when a signal ended it.

        Raises:
            ProcessTimeoutError: It still runs; also a `TimeoutError`.
            ProcessError: As for `poll`.

        Example:
            ```python
            code = await process.wait(timeout=600)
            ```
        """
        check_limits(timeout=timeout)
        with anyio.move_on_after(timeout):
            for pause in pauses(_FIRST_PAUSE, _LONGEST_PAUSE):
                if (code := await self.poll()) is not None:
                    return code
                await anyio.sleep(pause)
        message = f"process {self._id} still runs after {timeout or 0:g} s"
        raise ProcessTimeoutError(message, tool=Shell.tool)

    async def kill(self, signal: int | str = "KILL") -> bool:
        """Send a signal to the process and to all that it started.

        Programs that made themselves independent of the process do not get it. On images
        without ``setsid`` only the process itself does.

        Args:
            signal: A name such as ``"TERM"``, a member of `signal.Signals`, or the number
                that Linux gives to a signal.

        Returns:
            Whether it was sent; False when the process has ended already.

        Raises:
            ProcessError: The session does not know the process, or does not let it be
                signalled.
        """
        look = await self._ask(scripts.SIGNAL, _signal(signal))
        return look.state == "sent"

    def stdout(self, offset: int = 0) -> AsyncIterator[str]:
        """Go through what the process writes to its standard output.

        Ends when the process has ended and everything was read.

        Args:
            offset: Number of bytes to leave out, such as those that were read before.

        Raises:
            ProcessError: As for `poll`.

        Example:
            ```python
            async for text in process.stdout():
                print(text, end="")
            ```
        """
        return self._read("stdout", _offset(offset))

    def stderr(self, offset: int = 0) -> AsyncIterator[str]:
        """Go through what the process writes to its standard error, like `stdout`.

        Args:
            offset: Number of bytes to leave out, such as those that were read before.

        Raises:
            ProcessError: As for `poll`.
        """
        return self._read("stderr", _offset(offset))

    async def write_stdin(self, data: str | bytes) -> None:
        """Give the process something to read.

        Returns as soon as the session has it, whether or not the process reads.

        Args:
            data: Bytes, or text, which is sent as UTF-8.

        Raises:
            ProcessError: The process has ended, or its standard input was closed.

        Example:
            ```python
            await process.write_stdin(Path("answers.txt").read_bytes())
            ```
        """
        raw, name = _bytes(data), f"in.{uuid.uuid4().hex}"
        for start in range(0, len(raw), _CHUNK):
            part = base64.b64encode(raw[start : start + _CHUNK]).decode()
            last = "last" if start + _CHUNK >= len(raw) else ""
            look = await self._ask(scripts.FEED, name, part, last)
            if look.state != "sent":
                what = "its standard input is closed" if look.state == "closed" else "it has ended"
                raise self._error(f"process {self._id} reads nothing more: {what}", look)

    async def close_stdin(self) -> None:
        """End the standard input of the process, after all that was written to it.

        Closing it again, or after the end of the process, does nothing.

        Raises:
            ProcessError: The session does not know the process.
        """
        await self._ask(scripts.CLOSE)

    async def _read(self, stream: str, offset: int) -> AsyncIterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        waits = pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
        while True:
            look = await self._ask(scripts.LOOK, stream, str(offset + 1), str(_CHUNK))
            offset += len(look.data)
            complete = look.exit_code is not None and len(look.data) < _CHUNK
            if text := decoder.decode(look.data, complete):
                yield text
            if complete:
                return
            if look.data:
                waits = pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
            if len(look.data) < _CHUNK:
                await anyio.sleep(next(waits))

    async def _ask(self, text: str, *words: str) -> _Look:
        look = await _run(self._session, scripts.script(text, scripts.DIRECTORY + self._id, *words))
        if look.state == "missing":
            raise self._error(f"there is no process {self._id} in the session", look)
        if look.state == "lost":
            raise self._error(f"process {self._id} was ended together with what watched it", look)
        return look

    def _error(self, message: str, look: _Look) -> ProcessError:
        return ProcessError(message, tool=Shell.tool, request_id=look.request_id)


async def start(
    session: AsyncSession,
    command: str,
    *,
    cwd: str | None = None,
    envs: Mapping[str, str] | None = None,
) -> AsyncProcessHandle:
    """Start a shell command and leave it running; the body of ``AsyncCommand.start``."""
    given = None if envs is None else as_dict("envs", envs)
    Shell(command, 1, cwd, given)  # refuses what makes no sense
    variables = [f"{name}={value}" for name, value in (given or {}).items() if _name(name, value)]
    directory = cwd if cwd is None or cwd.startswith("/") else f"./{cwd}"
    process = AsyncProcessHandle(session, uuid.uuid4().hex, 0)
    short, long = (command, "") if len(command) <= _LONGEST_WORD else ("", command)
    words = (directory or "", scripts.KEEPER, scripts.CHILD, short, *variables)
    text = scripts.script(scripts.START, scripts.DIRECTORY + process.id, *words, stdin=long)
    begun = False

    async def run() -> _Look:
        nonlocal begun
        begun = True
        try:
            return await _run(session, text)
        except ProcessError:
            begun = False  # the session refused to start it
            raise

    async def undo() -> None:
        # Nobody would know of a process whose start was not waited for.
        if begun:
            with cleaning_up(10), suppress(AgentBayError):
                await process.kill()

    look = await session.get_agent_bay()._clean_ups.taken(
        run, undo, limit=_SCRIPT_LIMIT + _MARGIN, action=Shell.tool
    )
    process._pid = look.pid
    return process


async def attach(session: AsyncSession, id: str) -> AsyncProcessHandle:
    """Find a process that was started before; the body of ``AsyncCommand.attach``."""
    if not isinstance(id, str) or not _ID.fullmatch(id):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInputError(f"id must be the id of a process, not {id!r:.80}")
    process = AsyncProcessHandle(session, id, 0)
    look = await process._ask(scripts.LOOK, "", "1", "0")
    process._pid = look.pid
    return process


@attrs.frozen
class _Look:
    """What a script said: a word, a pid, and the bytes that were asked for."""

    request_id: str
    state: str
    exit_code: int | None
    pid: int
    data: bytes


async def _run(session: AsyncSession, text: str) -> _Look:
    call = Shell(text, round(_SCRIPT_LIMIT * 1000))
    reply = await session._call(call, timeout=_SCRIPT_LIMIT + _MARGIN)
    facts = {"tool": Shell.tool, "request_id": reply.request_id}
    if reply.value.exit_code != 0:
        reason = reply.value.stderr.strip() or f"exit code {reply.value.exit_code}"
        raise ProcessError(f"the session could not handle a process: {reason}", **facts)
    head, _, rest = reply.value.stdout.partition("\n")
    words = head.split()
    try:
        code = int(words[1]) if words[0] == "exit" else None
        return _Look(reply.request_id, words[0], code, int(words[-1]), base64.b64decode(rest))
    except (IndexError, ValueError) as exc:
        raise ProcessError(f"the session answered {head!r:.80} about a process", **facts) from exc


def _signal(signal: int | str) -> str:
    # The numbers of this machine may not be those of the session, so names travel.
    if isinstance(signal, signals.Signals):
        signal = signal.name
    if isinstance(signal, int) and not isinstance(signal, bool) and 0 < signal <= 64:
        return str(int(signal))
    name = str(signal).upper().removeprefix("SIG")
    if not _SIGNALS.fullmatch(name):
        raise InvalidInputError(f"signal must be the name or number of a signal, not {signal!r}")
    return name


def _offset(offset: int) -> int:
    if not isinstance(offset, int) or isinstance(offset, bool) or offset < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInputError(f"offset must be a number of bytes from 0, not {offset!r}")
    return offset


def _bytes(data: str | bytes) -> bytes:
    if not isinstance(data, str | bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInputError(f"data must be text or bytes, not {data!r:.80}")
    try:
        return data.encode() if isinstance(data, str) else data
    except UnicodeEncodeError as exc:
        raise InvalidInputError(f"the text cannot be sent as UTF-8 ({exc.reason})") from exc


def _name(name: str, value: str) -> bool:
    if not name or "=" in name or "\0" in name + value:
        raise InvalidInputError(f"no program can be given the variable {name!r:.80}")
    return True
