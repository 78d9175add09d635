"""One client in a process of its own: makes calls, and prints what they cost.

It runs with the Python of the client that is measured, so it imports nothing of this package.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import ssl
import statistics
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

COMMAND = "echo hello from the sandbox"
QUERY = (
    "Action=CallMcpTool&Format=json&Version=2025-05-06&Timestamp=2026-11-22T04%3A00%3A00Z"
    "&SignatureNonce=" + "a" * 32
)
BODY = (
    b"Args=%7B%22command%22%3A%22echo+hello+from+the+sandbox%22%7D&AutoGenSession=False"
    b"&Name=shell&Server=wuying_shell&SessionId=s-1&Authorization=Bearer+akm-x&Fill=" + b"x" * 300
)
HEADERS = {
    "x-acs-version": "2025-05-06",
    "x-acs-action": "CallMcpTool",
    "content-type": "application/x-www-form-urlencoded",
}

Call = Callable[[], Awaitable[object]]


async def ours(options: Any) -> Call:
    """The whole SDK, from arguments to a result."""
    from agentbay import AsyncAgentBay, AsyncSession

    session = AsyncSession(AsyncAgentBay("akm-x", endpoint=options.url), "s-1")

    async def call() -> None:
        result = await session.command.run(COMMAND)
        assert result.exit_code == 0, result.error_message

    return call


async def httpx_post(options: Any) -> Call:
    """`httpx.AsyncClient.post` of bytes, and `json.loads`."""
    import httpx

    client = httpx.AsyncClient(timeout=60, trust_env=True)

    async def call() -> None:
        response = await client.post(f"{options.url}/?{QUERY}", content=BODY, headers=HEADERS)
        json.loads(response.content)

    return call


async def raw(options: Any) -> Call:
    """Sockets of asyncio that stay open, and nothing else."""
    scheme, _, place = options.url.partition("://")
    host, _, port = place.partition(":")
    tls = ssl.create_default_context() if scheme == "https" else None
    lines = [f"POST /?{QUERY} HTTP/1.1", f"Host: {place}", f"Content-Length: {len(BODY)}"]
    lines += [f"{name}: {value}" for name, value in HEADERS.items()]
    request = "\r\n".join([*lines, "", ""]).encode() + BODY
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call() -> None:
        pair = idle.pop() if idle else await asyncio.open_connection(host, int(port), ssl=tls)
        reader, writer = pair
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2][:6]))
        idle.append(pair)

    return call


def _aimed(bay: Any, url: str) -> Any:
    """The vendor's client always takes HTTPS and a host of its own; this one takes ours."""
    scheme, _, place = url.partition("://")
    bay.client._protocol, bay.client._endpoint = scheme.upper(), place
    return bay


async def vendor(options: Any) -> Call:
    """The vendor's asynchronous client."""
    os.environ["AGENTBAY_LOG_LEVEL"] = "CRITICAL"
    import agentbay as theirs

    made: Any = theirs
    bay = _aimed(
        made.AsyncAgentBay(api_key="akm-x", cfg=made.Config(region_id="cn-hangzhou")), options.url
    )
    session = (await bay.create(made.CreateSessionParams(image_id="linux_latest"))).session

    async def call() -> None:
        result = await session.command.execute_command(COMMAND)
        assert result.success, result.error_message

    return call


def ours_sync(options: Any) -> Callable[[], object]:
    """The whole SDK, from a thread."""
    from agentbay import AgentBay, Session

    session = Session(AgentBay("akm-x", endpoint=options.url), "s-1")

    def call() -> None:
        result = session.command.run(COMMAND)
        assert result.exit_code == 0, result.error_message

    return call


def vendor_sync(options: Any) -> Callable[[], object]:
    """The vendor's blocking client."""
    os.environ["AGENTBAY_LOG_LEVEL"] = "CRITICAL"
    import agentbay as theirs

    made: Any = theirs
    bay = _aimed(
        made.AgentBay(api_key="akm-x", cfg=made.Config(region_id="cn-hangzhou")), options.url
    )
    session = bay.create(made.CreateSessionParams(image_id="linux_latest")).session

    def call() -> None:
        result = session.command.execute_command(COMMAND)
        assert result.success, result.error_message

    return call


ASYNC = {"ours": ours, "httpx": httpx_post, "raw": raw, "vendor": vendor}
SYNC = {"ours-sync": ours_sync, "vendor-sync": vendor_sync}


class Meter:
    """What a run of calls takes."""

    def __init__(self, control: str) -> None:
        self._control = control
        self.times: list[float] = []

    def begin(self) -> None:
        """From here on it counts."""
        gc.collect()
        self.times.clear()
        self._connections = self._count()
        self._cpu, self._start = _cpu(), time.perf_counter()

    def result(self) -> dict[str, float]:
        """CPU and elapsed seconds a call, the median, and how many connections were opened."""
        cpu, elapsed = _cpu() - self._cpu, time.perf_counter() - self._start
        count = len(self.times)
        return {
            "cpu": cpu / count,
            "rate": count / elapsed,
            "median": statistics.median(self.times),
            "connections": self._count() - self._connections - 1,
        }

    def _count(self) -> int:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self._control}/count", timeout=30) as answer:
            count: int = json.loads(answer.read())["Data"]
        return count


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _run_async(options: argparse.Namespace, meter: Meter) -> None:
    call = await ASYNC[options.client](options)

    async def several(count: int) -> None:
        for _ in range(count):
            start = time.perf_counter()
            await call()
            meter.times.append(time.perf_counter() - start)

    async def all_of(count: int) -> None:
        each = max(count // options.flight, 1)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(options.flight):
                tasks.create_task(several(each))

    await all_of(options.warm)
    meter.begin()
    await all_of(options.count)


def _run_sync(options: argparse.Namespace, meter: Meter) -> None:
    call = SYNC[options.client](options)

    def several(count: int) -> None:
        for _ in range(count):
            start = time.perf_counter()
            call()
            meter.times.append(time.perf_counter() - start)

    def all_of(count: int) -> None:
        each = max(count // options.flight, 1)
        threads = [threading.Thread(target=several, args=(each,)) for _ in range(options.flight)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    all_of(options.warm)
    meter.begin()
    all_of(options.count)


def main() -> None:
    """Measure one client."""
    parser = argparse.ArgumentParser()
    parser.add_argument("client", choices=[*ASYNC, *SYNC])
    parser.add_argument("url")
    parser.add_argument("control")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--warm", type=int, default=50)
    parser.add_argument("--flight", type=int, default=1, help="calls at once")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    meter = Meter(options.control)
    if options.client in ASYNC:
        asyncio.run(_finished(options, meter))
    else:
        _run_sync(options, meter)
        _say(meter)


async def _finished(options: argparse.Namespace, meter: Meter) -> None:
    await _run_async(options, meter)
    _say(meter)


def _say(meter: Meter) -> None:
    print(json.dumps(meter.result()), flush=True)
    os._exit(0)  # the clients need not end in good order


if __name__ == "__main__":
    main()
