"""Sockets: opened to whichever address of a host answers first, and asked what became of them."""

from __future__ import annotations

import asyncio
import ipaddress
import select
import socket
import struct
import sys
from itertools import chain, zip_longest
from typing import Any

import anyio

# Seconds until the next address of a host is tried beside the one that does not answer.
_STAGGER = 0.25

_Address = tuple[int, Any]


async def dial(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """Open a socket to a host.

    Raises:
        OSError: No address of the host, or none that answers; `UnicodeError` for some that
            are no names.
    """
    addresses = await _resolve(loop, host, port)
    if len(addresses) == 1:
        return await _open(loop, addresses[0])
    return await _Race(loop).run(addresses)


async def _resolve(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[_Address]:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        pass
    else:
        if "%" not in host:  # a scope needs the system's help
            return [(socket.AF_INET if version == 4 else socket.AF_INET6, (host, port))]
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [(family, address) for family, _, _, _, address in found]
    first = [item for item in addresses if item[0] == addresses[0][0]]
    others = [item for item in addresses if item[0] != addresses[0][0]]
    pairs = chain.from_iterable(zip_longest(first, others))
    return [item for item in pairs if item is not None]


async def _open(loop: asyncio.AbstractEventLoop, address: _Address) -> socket.socket:
    opened = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(opened, address[1])
    except BaseException:  # cancelled too: nobody else closes the socket
        opened.close()
        raise
    return opened


class _Race:
    """Several addresses, of which the first that answers is taken."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._errors: list[OSError] = []
        self._winner: socket.socket | None = None

    async def run(self, addresses: list[_Address]) -> socket.socket:
        """Try them, each a moment after the one before it.

        Raises:
            OSError: None answers; the error of the first.
        """
        try:
            async with anyio.create_task_group() as tasks:
                for address in addresses:
                    over = anyio.Event()
                    tasks.start_soon(self._run, address, over, tasks.cancel_scope)
                    with anyio.move_on_after(_STAGGER):
                        await over.wait()
        except BaseException:  # cancelled too: nobody else closes the socket
            if self._winner is not None:
                self._winner.close()
            raise
        if self._winner is None:
            raise self._errors[0]
        return self._winner

    async def _run(self, address: _Address, over: anyio.Event, race: anyio.CancelScope) -> None:
        try:
            opened = await _open(self._loop, address)
        except OSError as exc:
            self._errors.append(exc)
        else:
            if self._winner is not None:
                opened.close()
                return
            self._winner = opened
            race.cancel()
        over.set()


def is_quiet(opened: socket.socket) -> bool:
    """Whether nothing has arrived on a socket that nobody has read, its end included."""
    try:
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(opened, select.POLLIN)
            return not poll.poll(0)
        return not select.select([opened], [], [], 0)[0]
    except (OSError, ValueError):
        return False  # it is closed


# Where Linux keeps the number of acknowledged bytes in its `tcp_info`.
_ACKNOWLEDGED = struct.Struct("=120xQ")


def acknowledged(opened: socket.socket) -> int:
    """Bytes that the system of the other side has taken; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    try:
        info = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKNOWLEDGED.size)
        count: int = _ACKNOWLEDGED.unpack(info)[0]
    except (OSError, struct.error):
        return 0
    return count
