"""One client in a process of its own: makes calls when it is told to, and prints what they cost.

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
import sys
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


async def ours(url: str) -> Call:
    """The whole SDK, from arguments to a result."""
    from agentbay import AsyncAgentBay, AsyncSession

    session = AsyncSession(AsyncAgentBay("akm-x", endpoint=url), "s-1")

    async def call() -> None:
        result = await session.command.run(COMMAND)
        assert result.exit_code == 0, result.error_message

    return call


async def httpx_post(url: str) -> Call:
    """`httpx.AsyncClient.post` of bytes, and `json.loads`."""
    import httpx

    # A thousand calls wait long for its pool.
    client = httpx.AsyncClient(timeout=httpx.Timeout(60, pool=600), trust_env=True)

    async def call() -> None:
        response = await client.post(f"{url}/?{QUERY}", content=BODY, headers=HEADERS)
        json.loads(response.content)

    return call


async def raw(url: str) -> Call:
    """Sockets of asyncio that stay open, and nothing else."""
    scheme, _, place = url.partition("://")
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


async def vendor(url: str) -> Call:
    """The vendor's asynchronous client."""
    os.environ["AGENTBAY_LOG_LEVEL"] = "CRITICAL"
    import agentbay as theirs

    made: Any = theirs
    bay = _aimed(made.AsyncAgentBay(api_key="akm-x", cfg=made.Config(region_id="cn-hangzhou")), url)
    session = (await bay.create(made.CreateSessionParams(image_id="linux_latest"))).session

    async def call() -> None:
        result = await session.command.execute_command(COMMAND)
        assert result.success, result.error_message

    return call


def ours_sync(url: str) -> Callable[[], object]:
    """The whole SDK, from a thread."""
    from agentbay import AgentBay, Session

    session = Session(AgentBay("akm-x", endpoint=url), "s-1")

    def call() -> None:
        result = session.command.run(COMMAND)
        assert result.exit_code == 0, result.error_message

    return call


def vendor_sync(url: str) -> Callable[[], object]:
    """The vendor's blocking client."""
    os.environ["AGENTBAY_LOG_LEVEL"] = "CRITICAL"
    import agentbay as theirs

    made: Any = theirs
    bay = _aimed(made.AgentBay(api_key="akm-x", cfg=made.Config(region_id="cn-hangzhou")), url)
    session = bay.create(made.CreateSessionParams(image_id="linux_latest")).session

    def call() -> None:
        result = session.command.execute_command(COMMAND)
        assert result.success, result.error_message

    return call


ASYNC = {"ours": ours, "httpx": httpx_post, "raw": raw, "vendor": vendor}
SYNC = {"ours-sync": ours_sync, "vendor-sync": vendor_sync}


class Turn:
    """Some calls, several of them at once, of which the first ones do not count.

    Every call that ends makes room for the next one until all that count are done: what is
    measured is the middle, when as many are under way as there may be.
    """

    def __init__(self, count: int, flight: int, skip: int) -> None:
        self.flight = flight
        self.is_over = False
        self._left, self._count = skip + count, count
        self._times: list[float] = []
        self._lock = threading.Lock()
        gc.collect()
        self._began = _now()

    def done(self, seconds: float) -> None:
        """A call has ended."""
        with self._lock:
            if self.is_over:
                return
            self._left -= 1
            if self._left < self._count:
                self._times.append(seconds)
            elif self._left == self._count:
                self._began = _now()
            if self._left == 0:
                self.is_over, self._ended = True, _now()

    def result(self) -> dict[str, float]:
        """CPU seconds a call, calls a second, and the median of their durations."""
        cpu, elapsed = (end - begin for begin, end in zip(self._began, self._ended, strict=True))
        return {
            "cpu": cpu / self._count,
            "rate": self._count / elapsed,
            "median": statistics.median(self._times),
        }


def _now() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


async def _taken(call: Call, turn: Turn) -> dict[str, float]:
    async def several() -> None:
        while not turn.is_over:
            start = time.perf_counter()
            await call()
            turn.done(time.perf_counter() - start)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(turn.flight):
            tasks.create_task(several())
    return turn.result()


def _taken_sync(call: Callable[[], object], turn: Turn) -> dict[str, float]:
    def several() -> None:
        while not turn.is_over:
            start = time.perf_counter()
            call()
            turn.done(time.perf_counter() - start)

    if turn.flight == 1:
        several()
        return turn.result()
    threads = [threading.Thread(target=several) for _ in range(turn.flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return turn.result()


async def _first(client: str, url: str) -> dict[str, float]:
    """The first call of a process, with a client that is made before."""
    call = await ASYNC[client](url)
    begin = _now()
    await call()
    cpu, elapsed = (end - begin for begin, end in zip(begin, _now(), strict=True))
    return {"cpu": cpu, "elapsed": elapsed}


def _connections(control: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{control}/count", timeout=30) as answer:
        count: int = json.loads(answer.read())["Data"]
    return count


def _obey(client: str, url: str, control: str) -> None:
    """Take a turn for every line that comes, and print what it took."""
    with asyncio.Runner() as runner:
        asynchronous = runner.run(ASYNC[client](url)) if client in ASYNC else None
        blocking = None if client in ASYNC else SYNC[client](url)
        for line in sys.stdin:
            known = _connections(control)
            turn = Turn(**json.loads(line))
            if asynchronous is not None:
                found = runner.run(_taken(asynchronous, turn))
            else:
                assert blocking is not None
                found = _taken_sync(blocking, turn)
            found["connections"] = _connections(control) - known - 1
            print(json.dumps(found), flush=True)
        os._exit(0)  # the clients need not end in good order


def main() -> None:
    """Measure one client."""
    parser = argparse.ArgumentParser()
    parser.add_argument("client", choices=[*ASYNC, *SYNC])
    parser.add_argument("url")
    parser.add_argument("control", help="where connections are counted; empty for a first call")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    if options.control:
        _obey(options.client, options.url, options.control)
    else:
        print(json.dumps(asyncio.run(_first(options.client, options.url))), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main()
