"""The engine as a server of its own process, over HTTP."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import socket

import anyio
import attrs
import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from ._logs import logged
from .app import create_app
from .engine import EngineOptions, engine_running

_log = logging.getLogger(__name__)

# Seconds that a connection may be idle. Clients keep some for a long time, and a call fails that
# is sent just when its connection is closed: that should be rare.
_IDLE_LIMIT = 3600

# The number of an option of glibc's `mallopt`.
_ARENA_MAX = -8


async def serve(options: EngineOptions, listener: socket.socket, api_key: str) -> None:
    """Serve an engine over HTTP until the process is told to end."""
    share_memory()
    async with engine_running(attrs.evolve(options, tells_links=True)) as engine:
        config = uvicorn.Config(
            logged(create_app(engine, api_key)),
            http=Protocol,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_keep_alive=_IDLE_LIMIT,
            timeout_graceful_shutdown=10,
        )
        server = uvicorn.Server(config)
        # uvicorn would end the process on a signal, before the sessions are closed.
        server.capture_signals = contextlib.nullcontext  # type: ignore[assignment,method-assign]
        _tell("serving", port=listener.getsockname()[1], pid=os.getpid(), home=str(options.home))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_stop_on_signal, server)
            await server.serve(sockets=[listener])
            tasks.cancel_scope.cancel()
        _tell("saving contexts and ending sessions", sessions=len(engine.sessions))
    _tell("stopped")


def share_memory() -> None:
    """Let all threads of this process use the memory that one of them has freed.

    glibc gives threads memory of their own and keeps what they free: the process grows for as
    long as work moves from thread to thread. Measured with 30 sessions, of 73 MiB after ten
    minutes 19 were of that kind; with one memory for all it stays below 60.
    """
    with contextlib.suppress(AttributeError):  # other C libraries do not do that
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


class Protocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # uvicorn chooses which
    """One connection, of which nothing is left once it is lost."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the connection is closed or reset."""
        # Told of a reset, uvicorn keeps its timer, and with it the connection, for the idle limit.
        super().connection_lost(None)


def _tell(event: str, **facts: object) -> None:
    _log.info("%s", event, extra={"facts": facts})


async def _stop_on_signal(server: uvicorn.Server) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            # The second one does not wait for replies that are under way.
            server.force_exit, server.should_exit = server.should_exit, True
