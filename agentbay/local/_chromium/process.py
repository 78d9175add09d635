"""Chromium as it runs in a session."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from ...protocol._wire import WireError, decode
from ...protocol.browser import BROWSER_DATA_PATH
from .._errors import EngineError, ToolFailure
from .cdp import Address, BrowserLost, Cdp

if TYPE_CHECKING:
    from ..sandbox import Sandbox

_log = logging.getLogger(__name__)

# Seconds: it takes one to start and half of one to end, more on a busy machine.
_START_LIMIT, _CLOSE_LIMIT, _KILL_LIMIT = 60.0, 20.0, 10.0

_LONGEST_LINE = 64 * 1024

# Without what talks to Google on its own account, without a keyring. The sandbox around the
# session stands for Chromium's own, which needs rights that sessions lack.
_FLAGS = (
    "--no-sandbox", "--remote-debugging-port=0",
    f"--user-data-dir={BROWSER_DATA_PATH}", "--password-store=basic",
    "--no-first-run", "--no-default-browser-check", "--no-pings", "--mute-audio",
    "--disable-background-networking", "--disable-breakpad",
    "--disable-client-side-phishing-detection", "--disable-component-update",
    "--disable-crash-reporter", "--disable-default-apps",
    "--disable-domain-reliability", "--disable-field-trial-config", "--disable-sync",
    "--metrics-recording-only", "--disable-search-engine-choice-screen",
    "--enable-unsafe-swiftshader", "--noerrdialogs",
)  # fmt: skip
_DISABLED_FEATURES = (
    "AutofillServerCommunication", "CertificateTransparencyComponentUpdater",
    "DialMediaRouteProvider", "MediaRouter", "OptimizationHints", "Translate",
)  # fmt: skip
# Several of these do not add up: the last one counts.
_LISTS = ("--disable-features", "--enable-features", "--disable-blink-features")


def command_line(program: Path, arguments: Sequence[str], *, window: bool = False) -> list[str]:
    """What starts the program, with arguments beside those that every browser gets.

    Args:
        program: The program.
        arguments: What is different from one browser to another.
        window: Whether it shows a window, for which there has to be a display.
    """
    given = [*([] if window else ["--headless=new"]), *_FLAGS]
    given += [f"--disable-features={','.join(_DISABLED_FEATURES)}", *arguments]
    return [str(program), *_joined(given), "about:blank"]


def _joined(arguments: Sequence[str]) -> Iterator[str]:
    lists: dict[str, list[str]] = {}
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name in _LISTS:
            lists.setdefault(name, []).append(value)
        else:
            yield argument
    for name, values in lists.items():
        yield f"{name}={','.join(filter(None, values))}"


@attrs.frozen
class _End:
    reason: str = "the browser has ended"


class Chromium:
    """A browser that runs in a session. It belongs to the engine's event loop.

    Attributes:
        address: Where it takes commands.
        ended: Set once none of its processes is left, and its files are whole.
        reason: Why it has ended.
    """

    def __init__(self, sandbox: Sandbox, address: Address, line: socket.socket) -> None:
        self.address: Address = address
        self.ended: anyio.Event = anyio.Event()
        self.reason: str = ""
        self._sandbox, self._line = sandbox, line

    @classmethod
    async def start(cls, sandbox: Sandbox, command: Sequence[str]) -> Chromium:
        """Start one; `watch` has to run from then on, and closes what this opens.

        Raises:
            EngineError: It does not start (`BrowserFailed`), or the session is gone.
        """
        arguments: dict[str, Any] = {
            "command": list(command),
            "profile": BROWSER_DATA_PATH,
            "environment": sandbox.environment,
            "time_limit": _START_LIMIT,
        }
        try:
            reply, line = await sandbox.launch(
                "browser", arguments, time_limit=_START_LIMIT + _KILL_LIMIT
            )
        except ToolFailure as exc:
            reason = f"the browser does not start: {exc}"
            raise EngineError("BrowserFailed", reason, status=500) from exc
        port, path = reply.data.get("port"), reply.data.get("path")
        if isinstance(port, int) and isinstance(path, str) and re.fullmatch(r"/[\w/.-]+", path):
            return cls(sandbox, Address(port, path), line)
        line.close()
        raise EngineError("BrowserFailed", "the session tells no address of its browser")

    async def watch(self) -> None:
        """Wait for its end; why it came is known then."""
        said = bytearray()
        try:
            with contextlib.suppress(OSError):
                while not said.endswith(b"\n") and len(said) < _LONGEST_LINE:
                    await anyio.wait_readable(self._line)
                    data = self._line.recv(_LONGEST_LINE)
                    if not data:
                        break
                    said += data
        finally:
            self._line.close()
            self.reason = _reason(bytes(said))
            self.ended.set()
        _log.debug("the browser of %s: %s", self._sandbox.session_id, self.reason)

    async def close(self) -> None:
        """End it cleanly, so that everything is in its files; kill it if that takes too long."""
        if self.ended.is_set():
            return
        # In a session that is paused it stands still, and could not even end.
        self._go_on()
        with anyio.move_on_after(_CLOSE_LIMIT):
            try:
                async with Cdp.open(self._sandbox, self.address) as cdp:
                    await cdp.tell("Browser.close")
                    await self.ended.wait()
            except BrowserLost:
                await self.ended.wait()
            except (ToolFailure, EngineError) as exc:
                _log.debug("a browser cannot be told to end: %s", exc)
        if not self.ended.is_set():
            _log.warning("the browser of %s is killed: it did not end", self._sandbox.session_id)
            self.kill()
            with anyio.move_on_after(_KILL_LIMIT):
                await self.ended.wait()

    def kill(self) -> None:
        """Begin to end it at once; what it did not write yet is lost."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)

    def _go_on(self) -> None:
        with contextlib.suppress(OSError):
            self._line.send(b"\n")


def _reason(said: bytes) -> str:
    try:
        found = decode(_End, json.loads(said.decode(errors="replace")))
    except (ValueError, WireError, RecursionError):
        return _End().reason
    return found.reason[:1000]
