"""Clients on our transport, for tests of it."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from agentbay._pool._h11_reader import H11Reader
from agentbay._pool._pools import Pool
from agentbay._pool._readers import HttptoolsReader
from agentbay._pool._tls import Tls
from agentbay._pool.transport import PoolTransport

from .pool_service import PoolService, Talk, answer, serving

READERS: list[Callable[[], Any]] = [H11Reader]
if find_spec("httptools") is not None:
    READERS.append(lambda: HttptoolsReader(import_module("httptools")))


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=READERS, ids=lambda reader: getattr(reader, "__name__", "HttptoolsReader"))
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every reader in turn."""
    monkeypatch.setattr("agentbay._pool._pools.new_reader", request.param)
    return request.param


MEGABYTE = bytes(1 << 20)


async def silence(talk: Talk) -> None:
    await talk.request()
    await talk.reader.read()


@asynccontextmanager
async def client_of(**options: Any) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client on our transport; at its end nothing may be left of a connection."""
    transport = PoolTransport(Tls(options.pop("verify", True)), **options)
    async with httpx.AsyncClient(transport=transport, timeout=50) as client:
        yield client
        if transport._pool is not None:
            assert not [c for o in transport._pool._origins.values() for c in o._busy]


def pool_of(client: httpx.AsyncClient) -> Pool:
    """Its connections."""
    transport = client._transport
    assert isinstance(transport, PoolTransport)
    assert transport._pool is not None
    return transport._pool


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - it comes true in another thread
            await anyio.sleep(0.005)


def once(*pieces: bytes, pause: float = 0.0) -> Callable[[Talk], Any]:
    """Answer the first request of each connection with these bytes, and close it."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(*pieces, pause=pause)

    return script


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a certificate of it for 127.0.0.1."""
    directory = tmp_path_factory.mktemp("certificates")
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made with openssl: apt-get install openssl")
    # What Python 3.13 asks of certificates.
    (directory / "extensions").write_text(
        "subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"
        "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
    )
    signs = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for command in (
        ["req", "-x509", *new, *signs, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test"],
        ["req", *new, "-keyout", "key.pem", "-out", "request", "-subj", "/CN=127.0.0.1"],
        ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key",
         "-CAcreateserial", "-extfile", "extensions", "-out", "cert.pem"],
    ):  # fmt: skip
        subprocess.run(
            ["openssl", *command], cwd=directory, check=True, capture_output=True, timeout=30
        )
    return directory


@pytest.fixture
def tls_service(certificates: Path) -> Iterator[PoolService]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    with serving(answer, context) as service:
        yield service


@pytest.fixture
def trusting(certificates: Path) -> ssl.SSLContext:
    """A context that knows the authority."""
    return ssl.create_default_context(cafile=certificates / "ca.pem")
