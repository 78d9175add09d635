"""The guest: the process inside a session that does what the engine asks for.

It is started as PID 1 of the sandbox. Its arguments are the number of its control socket, the
user that it becomes if it is root, the bytes of memory that programs may have, how many they may
be, and the bytes that their files may have. Each message on the socket carries that of one
operation, which gets a thread of its own. The session ends when the control socket does.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import threading

from . import children, limits
from .failure import Failure

# Type checkers take this name for true; importing `typing` would slow every session's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINE_LIMIT = 4 * 1024 * 1024
BODY_LIMIT = 64 * 1024 * 1024
# The engine writes a request at once; a peer that does not is gone.
REQUEST_LIMIT = 60.0

# Where each operation is. A module is loaded when one of its operations is asked for: a session
# starts sooner, and most need few of them.
MODULES = {
    "apps": "end_processes launch list_processes",
    "browsers": "browser extensions",
    "commands": "environment shell",
    "displays": "display",
    "files": "create_directory delete_file edit_file get_file_change get_file_info list_directory"
    " move_file read_file read_multiple_files search_files write_file",
    "forwarding": "forward",
    "freezing": "freeze thaw",
    "interpreters": "interpreter",
    "limits": "restrict",
    "menu": "installed_apps",
    "pictures": "screen",
    "ports": "connect",
    "programs": "transfer_program",
    "terminals": "terminal",
    "trees": "pack unpack",
    "usage": "usage",
    "views": "screen_digest",
    "watch": "watch",
}
_PLACES = {name: module for module, names in MODULES.items() for name in names.split()}


def main() -> None:
    """Serve operations until the control socket ends."""
    control = socket.socket(fileno=int(sys.argv[1]))
    os.umask(0o022)
    become(int(sys.argv[2]))
    guard()
    limits.set_up(*map(int, sys.argv[3:6]))
    threading.Thread(target=children.reap_forever, daemon=True).start()
    control.send(b"ready")
    while connection := next_connection(control):
        try:
            threading.Thread(target=serve, args=(connection,), daemon=True).start()
        except RuntimeError as exc:
            with connection, contextlib.suppress(OSError):
                connection.sendall(error_line(Failure(f"the session is overloaded: {exc}", -1)))
    if os.getpid() != 1:
        if displays := sys.modules.get(f"{__package__}.displays"):
            displays.stop()
        children.kill_all()
    # Threads that still serve are not waited for. The end of PID 1 ends every process.
    os._exit(0)


def become(user: int) -> None:
    """Give up root for good; only an engine that runs as root starts the guest as root."""
    if os.getpid() == 1 and os.getuid() == 0:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def guard() -> None:
    """Tie the guest's life to the engine's, and keep commands away from the guest."""
    # PID 1 ignores signals from inside the session as long as it has no handler for them.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    hear_signals()
    try:
        import ctypes
    except ImportError:
        # The control socket still ends with the engine, and the engine trusts nothing in here.
        return
    process_control = getattr(ctypes.CDLL(None), "prctl", None)
    if process_control is None:
        return
    die_with_parent, dumpable, subreaper = 1, 4, 36
    if os.getpid() == 1:
        # Elsewhere the guest needs the time to end what it started.
        process_control(die_with_parent, signal.SIGKILL, 0, 0, 0)
        # Not at the top: it needs ctypes.
        from . import refused_calls

        refused_calls.refuse()
    # Commands run as the same user: without this they could trace the guest or use its files.
    process_control(dumpable, 0, 0, 0, 0)
    process_control(subreaper, 1, 0, 0, 0)


def hear_signals() -> None:
    """Let programs hear signals that the engine was started to ignore, as by `nohup`.

    What is ignored is inherited. Python ignores two itself, which `Popen` sets right.
    """
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def next_connection(control: socket.socket) -> socket.socket | None:
    """The socket of the next operation; None when the engine is gone."""
    while True:
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        data, descriptors, _, _ = socket.recv_fds(control, 16, 1, flags)
        if not data:
            return None
        # A message without a descriptor is one that found the table of open files full.
        if descriptors:
            return socket.socket(fileno=descriptors[0])


def serve(connection: socket.socket) -> None:
    """Do one operation."""
    with connection, contextlib.suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
        connection.settimeout(REQUEST_LIMIT)
        operation, arguments, body = read_request(connection)
        connection.settimeout(None)
        try:
            module = module_of(operation)
            if operation in getattr(module, "STREAMING", {}):
                module.STREAMING[operation](arguments, connection)
            else:
                connection.sendall(reply(*module.PLAIN[operation](arguments, body)))
        except Failure as exc:
            connection.sendall(error_line(exc))
        except (BrokenPipeError, ConnectionResetError):
            raise
        except OSError as exc:
            connection.sendall(error_line(Failure(describe(exc))))
        except ImportError as exc:
            remedy = "if the engine was updated while it ran, start it again"
            connection.sendall(
                error_line(Failure(f"{operation} cannot be loaded: {exc}; {remedy}", -1))
            )
        except (MemoryError, RuntimeError) as exc:
            reason = str(exc) or "out of memory"
            connection.sendall(error_line(Failure(f"the session is overloaded: {reason}", -1)))


def module_of(operation: str) -> Any:
    """The module that has an operation, loaded."""
    if operation not in _PLACES:
        raise Failure(f"unknown operation {operation}")
    return importlib.import_module(f".{_PLACES[operation]}", __package__)


def reply(result: dict[str, Any], data: bytes) -> bytes:
    """The reply of an operation that has its whole input and gives its whole output."""
    line = json.dumps({"result": result, "size": len(data)}).encode() + b"\n"
    if len(line) > LINE_LIMIT or len(data) > BODY_LIMIT:
        raise Failure("the result is too large for one reply: ask for less")
    return line + data


def read_request(connection: socket.socket) -> tuple[str, dict[str, Any], bytes]:
    """Read the request line and its body, and not a byte more."""
    request = json.loads(read_line(connection))
    body = bytearray()
    while missing := request["size"] - len(body):
        chunk = connection.recv(min(missing, 1 << 20))
        if not chunk:
            raise BrokenPipeError
        body += chunk
    return request["operation"], request["arguments"], bytes(body)


def read_line(connection: socket.socket) -> bytes:
    """Read up to the end of the line; what follows it stays in the socket."""
    line = bytearray()
    while not line.endswith(b"\n"):
        seen = connection.recv(1 << 16, socket.MSG_PEEK)
        if not seen:
            raise BrokenPipeError
        line += connection.recv(seen.find(b"\n") + 1 or len(seen))
    return bytes(line)


def error_line(failure: Failure) -> bytes:
    """The reply that says why an operation was not done."""
    error = {"number": failure.number, "message": failure.message}
    return json.dumps({"error": error}).encode() + b"\n"


def describe(error: OSError) -> str:
    """The text of a system error, as a shell would put it."""
    reason = limits.reason(error) or str(error)
    return reason if error.filename is None else f"{os.fsdecode(error.filename)}: {reason}"


if __name__ == "__main__":
    main()
