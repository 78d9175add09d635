"""The display of the session: an X server without a screen, and a window manager on it."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import shlex
import socket
import subprocess
import threading
import time
from typing import Any

from . import children
from .failure import Failure

# Seconds that the X server gets to take clients, and to be gone once it is killed; what it says
# when it fails is this long.
_START_LIMIT, _KILL_LIMIT = 15.0, 5.0
_LONGEST_COMPLAINT = 500

_SERVER, _MANAGER = "Xvfb", "openbox"

# Milliseconds before a key that is held repeats. What presses keys for a program may be kept from
# releasing them for a while, on a machine that is busy.
_REPEAT_DELAY = 5000

# A window that shrinks on its way out would be in pictures, and its place would be wrong.
_CONFIGURATION = """<?xml version="1.0" encoding="UTF-8"?>
<openbox_config xmlns="http://openbox.org/3.4/rc">
  <focus><focusNew>yes</focusNew></focus>
  <theme><animateIconify>no</animateIconify></theme>
  <desktops><number>1</number><popupTime>0</popupTime></desktops>
</openbox_config>
"""

_lock = threading.Lock()
_display: Display | None = None
_started = 0


class Display:
    """An X server that runs, or did.

    Attributes:
        name: What ``DISPLAY`` has to be.
        authority: What ``XAUTHORITY`` has to be: the file with the cookie.
        frame: A descriptor of the file that holds what is on the screen.
    """

    def __init__(self, directory: str, width: int, height: int) -> None:
        self._directory = directory
        self.authority: str = _write_cookie(directory)
        self.name: str
        self._server, self.name = self._start_server(width, height)
        self.frame: int = os.open(os.path.join(directory, "Xvfb_screen0"), os.O_RDONLY)
        self._manager: children.Child | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead to the display, for the programs of the session."""
        return {"DISPLAY": self.name, "XAUTHORITY": self.authority}

    @property
    def ended(self) -> str:
        """How the X server has ended; empty while it runs."""
        server = self._server
        if server.status is None:
            return ""
        if server.signal is not None:
            return f"signal {server.signal}"
        return f"exit status {server.exit_code}"

    def manage(self) -> None:
        """Start the window manager, unless it runs."""
        if self._manager is not None and self._manager.status is None:
            return
        ready = os.path.join(self._directory, "managed")
        with contextlib.suppress(FileNotFoundError):
            os.remove(ready)
        manager = self._manager = children.start(
            [
                *(_MANAGER, "--sm-disable", "--startup", f"touch {shlex.quote(ready)}"),
                *("--config-file", self._configuration()),
            ],
            cwd=os.environ["HOME"],
            env={**os.environ, **self.environment, "XDG_CACHE_HOME": self._directory},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        manager.release()
        deadline = time.monotonic() + _START_LIMIT
        while not os.path.exists(ready):
            if manager.status is not None or time.monotonic() > deadline:
                manager.kill()
                raise Failure("the window manager did not start", -1)
            time.sleep(0.005)

    def _configuration(self) -> str:
        """The file that the window manager reads; `focus_mode` of the engine changes it."""
        path = os.path.join(self._directory, "rc.xml")
        if not os.path.exists(path):
            with open(path, "w") as file:
                file.write(_CONFIGURATION)
        return path

    def forget(self) -> None:
        """Give up what is left of a display that has ended."""
        os.close(self.frame)
        if self._manager is not None:
            self._manager.kill()

    def stop(self) -> None:
        """End the X server in a way that lets it remove its socket."""
        self._server.process.terminate()

    def clear(self) -> None:
        """End the X server in any case, and remove the socket that it leaves."""
        self._server.kill()
        deadline = time.monotonic() + _KILL_LIMIT
        while not self.ended and time.monotonic() < deadline:
            time.sleep(0.005)
        path = f"/tmp/.X11-unix/X{self.name.removeprefix(':')}"
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as visitor:
            visitor.settimeout(_KILL_LIMIT)
            try:
                visitor.connect(path)  # another server may have the number already
            except ConnectionRefusedError:
                os.remove(path)

    def _start_server(self, width: int, height: int) -> tuple[children.Child, str]:
        reading, writing = os.pipe()
        log = os.path.join(self._directory, "log")
        command = [
            *(_SERVER, "-displayfd", str(writing), "-auth", self.authority),
            *("-screen", "0", f"{width}x{height}x24", "-dpi", "96", "-fbdir", self._directory),
            # It is for the programs of the session only, and outlives each of them.
            *("-nolisten", "tcp", "-noreset", "-ardelay", str(_REPEAT_DELAY)),
        ]
        try:
            with open(log, "wb") as said:
                server = children.start(
                    command,
                    pass_fds=(writing,),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                )
        finally:
            os.close(writing)
        try:
            number = _read_number(reading)
        finally:
            os.close(reading)
            server.release()
        if not number:
            server.kill()
            raise Failure(f"the X server did not start: {_complaint(log)}", -1)
        return server, f":{number}"


def display(arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """Start the display, unless it runs; tells how to reach it and the how manyth it is."""
    global _display, _started
    with _lock:
        if _display is not None and _display.ended:
            gone, _display = _display, None
            gone.forget()
            raise _lost(gone)
        if _display is None:
            _check_programs()
            _display = Display(_place(), int(arguments["width"]), int(arguments["height"]))
            _started += 1
        _display.manage()
        return {"environment": _display.environment, "number": _started}, b""


def running() -> Display:
    """The display; fails if there is none."""
    found = _display
    if found is None:
        raise Failure("the session has no display", -1)
    if found.ended:
        raise _lost(found)
    return found


def _lost(gone: Display) -> Failure:
    return Failure(
        f"the X server of the session has ended ({gone.ended}) and its windows are gone: "
        "the next call starts another one",
        -1,
    )


def stop(limit: float = 1.0) -> None:
    """End the display; for a guest that shares its machine's sockets of displays."""
    if _display is not None:
        _display.stop()
        deadline = time.monotonic() + limit
        while not _display.ended and time.monotonic() < deadline:
            time.sleep(0.005)
        if not _display.ended:
            _display.clear()


def _check_programs() -> None:
    # Not at the top: sessions without a display have no time for it.
    import shutil

    missing = [name for name in (_SERVER, _MANAGER) if shutil.which(name) is None]
    if missing:
        # The engine says what to do about it.
        raise Failure(" and ".join(missing), -32601)


@functools.cache
def _place() -> str:
    """A directory for displays alone, in memory if the session has memory of its own."""
    if os.getpid() == 1:
        parent = "/dev/shm"
    else:
        parent = os.path.normpath(os.path.join(os.environ["HOME"], "../../run"))
    directory = os.path.join(parent, f".display-{os.urandom(8).hex()}")
    os.mkdir(directory, 0o700)
    return directory


def _write_cookie(directory: str) -> str:
    """Make the file that says who may use the display: whoever can read it."""
    path = os.path.join(directory, "authority")
    any_host = 65535
    with open(path, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(any_host.to_bytes(2))
        for part in (b"", b"", b"MIT-MAGIC-COOKIE-1", os.urandom(16)):
            file.write(len(part).to_bytes(2) + part)
    return path


def _read_number(reading: int) -> str:
    """The number of the display, once the X server takes clients; empty if it never does."""
    deadline = time.monotonic() + _START_LIMIT
    said = b""
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(reading, 16) if ready else b""
        if not chunk:
            return ""
        said += chunk
    return said.decode("ascii", "replace").strip()


def _complaint(log: str) -> str:
    text = ""
    with contextlib.suppress(OSError), open(log, errors="replace") as file:
        text = " ".join(file.read().split())
    return text[-_LONGEST_COMPLAINT:] or "it said nothing"


PLAIN = {"display": display}
