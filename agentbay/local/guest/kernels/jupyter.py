"""Languages with a kernel of Jupyter."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from typing import Any

from .kernel import Event, Kernel, KernelError

# Options that an interpreter of Python gets: it keeps no history in files.
_PYTHON = [
    *(sys.executable, "-X", "utf8", "-m", "ipykernel_launcher", "-f", "{connection_file}"),
    "--HistoryManager.enabled=False",
]
# Names of kernels, the best one first, and what to do if there is none.
_KERNELS = {
    "r": ("ir", "xr"),
    "java": ("java", "ijava", "jjava", "rapaio-jupyter-kernel"),
}
_REMEDIES = {
    "r": "R has no Jupyter kernel here: on Debian or Ubuntu, `apt-get install r-cran-irkernel`; "
    "elsewhere, in R, install.packages('IRkernel') and IRkernel::installspec(user = FALSE)",
    "java": "Java has no Jupyter kernel here: install a JDK (`apt-get install default-jdk`) and "
    "JJava, IJava or the rapaio kernel, with its kernelspec in /usr/local/share/jupyter/kernels",
}
_ENVIRONMENT = {
    "python": "import os as _os; _os.environ.update({}); del _os",
    "r": "do.call(Sys.setenv, as.list(c({})))",
}
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Seen from the home directory: the session's own, also where it shares the machine's files.
_TEMPORARY = "../../tmp"
# How much of what a kernel said is told when it does not start, in characters.
_SAID = 1000
# Seconds in which output may arrive after the kernel has said how the run ended.
_IDLE_LIMIT = 10.0


class Jupyter(Kernel):
    """A kernel that is talked to over sockets in a directory of the session."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self._language = language
        self._directory = ""
        self._by_message = False
        self._client: Any = None
        self._message = ""
        self._reply: tuple[Event | None, int | None] | None = None
        self._reply_time = 0.0
        self._idle = False

    def start(self, limit: float) -> None:
        command, variables = self._command()
        self._directory = os.path.abspath(tempfile.mkdtemp(prefix="kernel-", dir=_TEMPORARY))
        path = os.path.join(self._directory, "connection.json")
        with open(path, "w", opener=_private) as file:
            json.dump(self._connection(), file)
        command = [part.replace("{connection_file}", path) for part in command]
        with open(self._log(), "wb") as log:
            # Meanwhile the client is imported, which takes as long.
            self.spawn(
                command,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self._connect(path, limit)

    def begin(self, code: str) -> None:
        self._reply, self._idle = None, False
        self._message = self._client.execute(code, allow_stdin=False)

    def update(self, variables: dict[str, str]) -> None:
        template = _ENVIRONMENT.get(self._language)
        if template is None or not variables:
            return
        if self._language == "python":
            text = repr(variables)
        else:
            pairs = (f"{json.dumps(k)}={json.dumps(v)}" for k, v in variables.items())
            text = ", ".join(pairs)
        self._client.execute(template.format(text), silent=True, store_history=False)

    def wait(self, channel: int, timeout: float) -> tuple[list[Event], bool]:
        zmq: Any = importlib.import_module("zmq")
        poller = zmq.Poller()
        output, replies = self._client.iopub_channel, self._client.shell_channel
        for source in (output.socket, replies.socket, channel):
            poller.register(source, zmq.POLLIN)
        ready: dict[Any, int] = dict(poller.poll(timeout * 1000))
        events: list[Event] = []
        if replies.socket in ready:
            self._take_reply(replies.get_msg(timeout=0))
        # No more at a time than leaves room for the engine's requests.
        for _ in range(100):
            try:
                events += self._read(output.get_msg(timeout=0))
            except queue.Empty:
                break
        # The reply and the output come by different ways, and either may be the first.
        late = time.monotonic() > self._reply_time + _IDLE_LIMIT
        ended = self._idle or late
        self.result: tuple[Event | None, int | None] | None = self._reply if ended else None
        return events, channel in ready

    def stop(self) -> None:
        if self._by_message:
            message = self._client.session.msg("interrupt_request", {})
            self._client.control_channel.send(message)
        elif self.process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> None:
        if self._client is not None:
            self._client.stop_channels()
            self._client = None
        super().end()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _command(self) -> tuple[list[str], dict[str, str]]:
        if self._language == "python":
            return _PYTHON, {}
        try:
            kernelspec: Any = importlib.import_module("jupyter_client.kernelspec")
        except ImportError as exc:
            raise KernelError(_missing(exc)) from exc
        manager = kernelspec.KernelSpecManager()
        found: dict[str, str] = manager.find_kernel_specs()
        name = next((name for name in _KERNELS[self._language] if name in found), None)
        if name is None:
            raise KernelError(_REMEDIES[self._language])
        spec = manager.get_kernel_spec(name)
        self._by_message = spec.interrupt_mode == "message"
        directory = spec.resource_dir
        return [part.replace("{resource_dir}", directory) for part in spec.argv], dict(spec.env)

    def _connection(self) -> dict[str, Any]:
        ports = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
        # The ZeroMQ of Java has no sockets in files. A path may not be long: it is relative.
        java = self._language == "java"
        path = os.path.join(os.path.relpath(self._directory), "socket")
        return {
            **dict(zip(ports, _free_ports(5) if java else range(1, 6), strict=True)),
            "transport": "tcp" if java else "ipc",
            "ip": "127.0.0.1" if java else path,
            "signature_scheme": "hmac-sha256",
            "key": uuid.uuid4().hex,
        }

    def _connect(self, path: str, limit: float) -> None:
        deadline = time.monotonic() + limit
        try:
            blocking: Any = importlib.import_module("jupyter_client.blocking")
        except ImportError as exc:
            raise KernelError(_missing(exc)) from exc
        client: Any = blocking.BlockingKernelClient(connection_file=path)
        client.load_connection_file()
        client.start_channels(hb=False, stdin=False)
        self._client = client
        while not self._answers(client):
            if self.died:
                raise self._failed(f"the kernel ended at once, {self.died}")
            if time.monotonic() > deadline:
                raise self._failed(f"the kernel did not answer within {limit:g} seconds")

    def _answers(self, client: Any) -> bool:
        """Whether the kernel replies, and its output arrives as well."""
        client.kernel_info()
        try:
            client.shell_channel.get_msg(timeout=0.5)
            client.iopub_channel.get_msg(timeout=0.5)
        except queue.Empty:
            return False
        return True

    def _log(self) -> str:
        return os.path.join(self._directory, "log")

    def _failed(self, reason: str) -> KernelError:
        with open(self._log(), errors="replace") as log:
            said = log.read()[-_SAID:].strip()
        return KernelError(f"{self._language} cannot be run: {reason}\n{said}".strip())

    def _take_reply(self, message: dict[str, Any]) -> None:
        if not self._is_ours(message) or message["msg_type"] != "execute_reply":
            return
        content = message["content"]
        error = None if content["status"] == "ok" else _error(content)
        self._reply = error, content.get("execution_count")
        self._reply_time = time.monotonic()

    def _read(self, message: dict[str, Any]) -> list[Event]:
        """What a message of the kernel's output tells."""
        kind, content = message["msg_type"], message["content"]
        if not self._is_ours(message):
            return []
        if kind == "status" and content["execution_state"] == "idle":
            self._idle = True
        elif kind == "stream" and content["name"] in ("stdout", "stderr"):
            return [{"event": content["name"], "text": content["text"]}]
        elif kind in ("execute_result", "display_data", "update_display_data"):
            main = kind == "execute_result"
            return [{"event": "result", "main": main, "mime": content["data"]}]
        return []

    def _is_ours(self, message: dict[str, Any]) -> bool:
        return bool(message["parent_header"].get("msg_id") == self._message)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def _error(content: dict[str, Any]) -> Event:
    lines: list[str] = content.get("traceback") or []
    return {
        "name": content.get("ename") or "ExecutionError",
        "value": _ANSI.sub("", content.get("evalue") or content["status"]),
        "traceback": _ANSI.sub("", "\n".join(lines)),
    }


def _missing(error: ImportError) -> str:
    return f'code needs Jupyter: `pip install "agentbay-sdk[local]"` ({error})'


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
