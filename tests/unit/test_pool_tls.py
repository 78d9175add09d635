"""The connections of the client over TLS."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
import httpx
import pytest

from agentbay._pool import _tls
from agentbay._pool._tls import Tls

from .pool_clients import MEGABYTE, certificates, client_of, no_proxy, tls_service, trusting, until
from .pool_service import PoolService

# The fixtures of these tests.
__all__ = ["certificates", "no_proxy", "tls_service", "trusting"]

# httpx leaves generators behind when a call is cancelled, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

with_own_pool = pytest.mark.parametrize("anyio_backend", ["asyncio"])


async def test_calls_over_tls_share_a_connection(
    tls_service: PoolService, trusting: ssl.SSLContext
) -> None:
    async with client_of(verify=trusting) as client:
        for _ in range(3):
            response = await client.post(tls_service.url, content=MEGABYTE)
            assert response.content == b"ok"
        with anyio.move_on_after(0.02):
            await client.post(tls_service.url, content=MEGABYTE * 16)
        assert (await client.get(tls_service.url)).content == b"ok"
    await until(lambda: tls_service.open == 0)
    assert tls_service.connections <= 3


async def test_many_calls_over_tls_at_once(
    tls_service: PoolService, trusting: ssl.SSLContext
) -> None:
    async with client_of(verify=trusting, most=10) as client, anyio.create_task_group() as tasks:
        for _ in range(40):
            tasks.start_soon(client.get, tls_service.url)
    assert len(tls_service.requests) == 40
    assert tls_service.connections <= 16  # of the shards under trio


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_server_that_is_not_who_it_says_is_not_talked_to(
    tls_service: PoolService, trusting: ssl.SSLContext, host: str, anyio_backend: str
) -> None:
    """The wrong name with the right authority, and the right name with the wrong one."""
    verify = trusting if host == "localhost" else True
    async with client_of(verify=verify) as client:
        with pytest.raises(httpx.ConnectError) as caught:
            await client.get(f"https://{host}:{tls_service.port}/")
    if anyio_backend == "asyncio":  # trio tells nothing
        assert "certificate verify failed" in str(caught.value)
    assert tls_service.heads == []


async def test_certificates_can_be_left_unchecked(tls_service: PoolService) -> None:
    async with client_of(verify=False) as client:
        assert (await client.get(tls_service.url)).content == b"ok"


async def test_certificates_that_cannot_be_read_are_an_error_before_anything_is_sent(
    tls_service: PoolService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(_tls, "_contexts", {})
    async with client_of() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(tls_service.url)
    assert tls_service.connections == 0


async def test_the_same_context_serves_all_clients() -> None:
    assert await Tls().context() is await Tls().context()
    assert await Tls(False).context() is not await Tls().context()


@with_own_pool
@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_socket_that_is_dialed_while_certificates_are_read_is_closed_without_them(
    is_cancelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = anyio.CancelScope()
    accepted: list[socket.socket] = []

    def shared(_: bool) -> ssl.SSLContext:
        accepted.append(listener.accept()[0])
        if is_cancelled:
            anyio.from_thread.run_sync(scope.cancel)
            return ssl.create_default_context()
        raise OSError("no such file")

    monkeypatch.setattr(_tls, "_contexts", {})
    monkeypatch.setattr(_tls, "_shared", shared)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        async with client_of() as client:
            with scope, pytest.raises(httpx.ConnectError, match="no such file"):
                await client.get(f"https://127.0.0.1:{listener.getsockname()[1]}/")
    assert scope.cancelled_caught is is_cancelled
    with accepted[0]:
        accepted[0].settimeout(30)
        await anyio.to_thread.run_sync(_to_its_end, accepted[0])


def _to_its_end(opened: socket.socket) -> None:
    with suppress(ConnectionResetError):
        while opened.recv(1024):
            pass  # a handshake may have begun


@with_own_pool
async def test_a_server_that_is_not_there_is_an_error_once_certificates_are_read(
    trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shared(_: bool) -> ssl.SSLContext:
        return trusting

    monkeypatch.setattr(_tls, "_contexts", {})
    monkeypatch.setattr(_tls, "_shared", shared)
    async with client_of() as client:
        with socket.socket() as refusing:
            refusing.bind(("127.0.0.1", 0))
            with pytest.raises(httpx.ConnectError):
                await client.get(f"https://127.0.0.1:{refusing.getsockname()[1]}/")
