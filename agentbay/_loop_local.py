"""Things that belong to one event loop, such as connections: one for each loop that asks."""

from __future__ import annotations

import threading
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

import anyio

from . import _background as background


class Closable(Protocol):
    """Something that its own event loop has to close."""

    async def aclose(self) -> None:
        """Close it."""
        ...


R = TypeVar("R", bound=Closable)

_Leases = WeakKeyDictionary[Any, tuple[R, AsyncGenerator[R, None]]]


class LoopLocal(Generic[R]):
    """Hands out something that belongs to the loop asking for it, such as a client.

    It is closed by its own loop: explicitly through `aclose`, when this object is dropped, or
    when the loop shuts down its asynchronous generators (asyncio.run, anyio.run and trio.run
    all do).
    """

    def __init__(self, factory: Callable[[], R]) -> None:
        self._factory = factory
        self._leases: _Leases[R] = WeakKeyDictionary()
        self._lock = threading.Lock()
        # Keeps what is handed out of any cycle that this object is in: the collector would end
        # its sockets before the generators can close them.
        weakref.finalize(self, _drop, self._leases).atexit = False

    async def get(self) -> R:
        """The one of the current loop."""
        loop = _current_loop()
        with self._lock:
            lease = self._leases.get(loop)
        if lease is not None:
            return lease[0]
        lifetime = _lifetime(self._factory, weakref.ref(self._leases), self._lock)
        made = await anext(lifetime)  # never suspends: see _lifetime
        with self._lock:
            for dead in [key for key in self._leases if _is_closed(key)]:
                del self._leases[dead]
            self._leases[loop] = made, lifetime
        return made

    def prepare(self) -> None:
        """Load what `get` needs, so that the first call does not wait for it."""
        with suppress(RuntimeError):  # outside of event loops there is nothing to prepare for
            _current_loop()

    def elsewhere(self) -> list[tuple[object, R]]:
        """Those of other loops, each with its loop; their loops alone may use them."""
        here = _current_loop()
        with self._lock:
            return [(loop, lease[0]) for loop, lease in self._leases.items() if loop is not here]

    async def aclose(self) -> None:
        """Close the one of the current loop, if there is one."""
        with self._lock:
            lease = self._leases.pop(_current_loop(), None)
        if lease:
            await lease[1].aclose()


async def _lifetime(
    factory: Callable[[], R], leases: weakref.ref[_Leases[R]], lock: threading.Lock
) -> AsyncGenerator[R, None]:
    loop = _current_loop()
    made = factory()
    try:
        yield made
    finally:
        if (held := leases()) is not None:
            with lock:
                held.pop(loop, None)
        with anyio.CancelScope(shield=True):
            await made.aclose()


# Generators of loops that were about to end when these were dropped: the end closes them.
_left: WeakKeyDictionary[Any, list[AsyncGenerator[Any, None]]] = WeakKeyDictionary()


def _drop(leases: _Leases[Any]) -> None:
    """Let each loop close what it was handed, as soon as it gets to it; in any thread."""
    for loop, (_, lifetime) in list(leases.items()):
        # Asyncio closes a generator that is dropped. Trio does as well, but warns.
        run_soon: Callable[..., object] | None = getattr(loop, "run_sync_soon", None)
        if run_soon is not None:
            with suppress(RuntimeError):  # the loop has ended, and has closed it
                run_soon(_close, loop, lifetime)
    leases.clear()


def _close(loop: object, lifetime: AsyncGenerator[Any, None]) -> None:
    try:
        background.start(lifetime.aclose)
    except RuntimeError:  # no task begins any more
        _left.setdefault(loop, []).append(lifetime)


def _current_loop() -> object:
    # Imported here because it is needed for calls only, and takes its share of the import time.
    from anyio.lowlevel import current_token

    return current_token().native_token


def _is_closed(loop: object) -> bool:
    """Whether an asyncio loop is closed; trio's runs take their clients with them."""
    is_closed = cast("Callable[[], bool] | None", getattr(loop, "is_closed", None))
    return is_closed is not None and is_closed()
