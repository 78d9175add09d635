"""One client in a process of its own: holds sessions, calls or files, and prints what that took.

It runs with the Python of the client that is measured, so it imports nothing of this package.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import os
import resource
import time
import urllib.request
from pathlib import Path
from typing import Any

_LINE = 'print("row {:07d}", values["k"])\n'

# -- the clients -----------------------------------------------------------------------


class Ours:
    """The whole SDK."""

    def __init__(self, url: str) -> None:
        os.environ["AGENTBAY_LOG_LEVEL"] = "CRITICAL"  # the vendor's writes a line for each call
        import agentbay

        self._module: Any = agentbay
        self._bay: Any = self._made(url)

    def _made(self, url: str) -> Any:
        return self._module.AsyncAgentBay("akm-x", endpoint=url)

    async def session(self, image: str) -> Any:
        """Make a session."""
        result = await self._bay.create(self._module.CreateSessionParams(image_id=image))
        assert result.success, result.error_message
        return result.session

    async def run(self, session: Any) -> None:
        """Make a short call."""
        result = await session.command.execute_command("echo hello from the sandbox")
        assert result.success, result.error_message

    async def write(self, session: Any, text: str) -> None:
        """Write a file."""
        result = await session.file_system.write_file("/data/f.txt", text)
        assert result.success, result.error_message

    async def upload(self, session: Any, local: str, size: int) -> None:
        """Send a file through the store."""
        result = await session.file_system.upload_file(local, f"/t/{size}.bin", wait=False)
        assert result.bytes_sent == size, result.error_message

    async def download(self, session: Any, local: str, size: int) -> None:
        """Fetch a file through the store."""
        result = await session.file_system.download_file(f"/t/{size}.bin", local, wait=False)
        assert result.bytes_received == size, result.error_message


class Vendor(Ours):
    """The vendor's asynchronous client."""

    def _made(self, url: str) -> Any:
        config = self._module.Config(region_id="cn-hangzhou")
        bay = self._module.AsyncAgentBay(api_key="akm-x", cfg=config)
        # It takes HTTPS and a host of its own, whatever it is told.
        bay.client._protocol, bay.client._endpoint = "HTTP", url.partition("//")[2]
        return bay


CLIENTS = {"ours": Ours, "vendor": Vendor}

# -- what they hold --------------------------------------------------------------------


async def sessions(client: Ours, options: Any) -> dict[str, float]:
    """Sessions with a link, after one call of each; bytes of each one."""
    for _ in range(5):
        await client.run(await client.session("link"))
    before, kept = _settled(), list[Any]()
    for _ in range(options.count):
        session = await client.session("link")
        await client.run(session)
        kept.append(session)
    return {"memory": (_settled() - before) / len(kept)}


async def flight(client: Ours, options: Any) -> dict[str, float]:
    """Calls that wait for their replies, all at once; bytes of each one."""
    session = await client.session("linux_latest")
    await client.run(session)
    _control(options.url, "hold")
    before = _settled()
    tasks = [asyncio.create_task(client.run(session)) for _ in range(options.count)]
    while _control(options.url, "count") < options.count:  # noqa: ASYNC110 - another process counts
        await asyncio.sleep(0.05)
    used = (_now() - before) / options.count
    _control(options.url, "go")
    await asyncio.gather(*tasks)
    return {"memory": used}


async def write(client: Ours, options: Any) -> dict[str, float]:
    """A text that is written over the link or, with another image, the control plane."""
    session = await client.session(options.image)
    await client.write(session, _text(1_000))
    text = _text(options.size)
    meter = Meter()
    await client.write(session, text)
    return meter.result()


async def upload(client: Ours, options: Any) -> dict[str, float]:
    """A file that is sent through the store."""
    session = await client.session("linux_latest")
    await client.upload(session, _file(1_000), 1_000)
    path = _file(options.size)
    meter = Meter()
    await client.upload(session, path, options.size)
    return meter.result()


async def download(client: Ours, options: Any) -> dict[str, float]:
    """A file that is fetched through the store."""
    session = await client.session("linux_latest")
    await client.download(session, "f", 1_000)
    meter = Meter()
    await client.download(session, "f", options.size)
    return meter.result()


class Meter:
    """What something takes from here on."""

    def __init__(self) -> None:
        self._memory = _settled()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
        self._cpu, self._time = time.process_time(), time.perf_counter()

    def result(self) -> dict[str, float]:
        """Seconds of CPU and of the clock, and bytes on top at the most."""
        cpu, elapsed = time.process_time() - self._cpu, time.perf_counter() - self._time
        return {"cpu": cpu, "time": elapsed, "memory": _status("VmHWM") - self._memory}


def _settled() -> int:
    """Bytes that the process holds, without what it could give back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return _now()


def _now() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def _file(size: int) -> str:
    with open("f", "wb") as file:
        file.truncate(size)
    return "f"


def _text(size: int) -> str:
    block = "".join(_LINE.format(number) for number in range(4096))
    return (block * (size // len(block) + 1))[:size]


def _control(url: str, what: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/control?{what}", timeout=30) as answer:
        return int(answer.read())


WORK = {work.__name__: work for work in (sessions, flight, write, upload, download)}


def main() -> None:
    """Measure one client."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=WORK)
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("url")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--image", default="link")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    asyncio.run(_finished(options))


async def _finished(options: argparse.Namespace) -> None:
    found = await WORK[options.work](CLIENTS[options.client](options.url), options)
    print(json.dumps(found), flush=True)
    os._exit(0)  # the clients need not end in good order


if __name__ == "__main__":
    main()
