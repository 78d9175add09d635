"""How servers are checked: one context for all connections."""

from __future__ import annotations

import os
import ssl
import threading
from contextlib import suppress

import anyio.to_thread


class Tls:
    """Makes the context when the first connection needs it.

    Args:
        verify: False checks nothing; a context is taken as it is.

    """

    def __init__(self, verify: bool | ssl.SSLContext = True) -> None:
        self._given: ssl.SSLContext | None = None
        self._verify = verify is not False
        if isinstance(verify, ssl.SSLContext):
            verify.set_alpn_protocols(["http/1.1"])
            self._given = verify

    @property
    def ready(self) -> ssl.SSLContext | None:
        """The context; None before it is made."""
        return self._given or _contexts.get(self._verify)

    def prepare(self) -> None:
        """Begin to make it, beside what the program does until it needs it."""
        if self.ready is None and self._verify not in _makers:
            maker = threading.Thread(target=_make, args=(self._verify,), name="agentbay-tls")
            with suppress(RuntimeError):  # the interpreter ends, and starts no more threads
                maker.start()
                _makers[self._verify] = maker

    async def context(self) -> ssl.SSLContext:
        """The context.

        Raises:
            OSError: The certificates cannot be read, those of ``SSL_CERT_FILE`` perhaps.
        """
        if (ready := self.ready) is not None:
            return ready
        # In a thread: it reads some 140 certificates, which takes 25 ms.
        return await anyio.to_thread.run_sync(_made, self._verify)


# Those that all clients share.
_contexts: dict[bool, ssl.SSLContext] = {}

# The threads that make the contexts, or have done so.
_makers: dict[bool, threading.Thread] = {}


def _make(verify: bool) -> None:
    with suppress(OSError):  # told to whoever needs it
        _shared(verify)


def _made(verify: bool) -> ssl.SSLContext:
    if verify in _makers:
        _makers[verify].join()
    return _shared(verify)


def _settle() -> None:
    """Wait for the threads: a forked child would not, and OpenSSL may hold a lock of theirs."""
    for maker in list(_makers.values()):
        maker.join()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_settle)


def _shared(verify: bool) -> ssl.SSLContext:
    if verify in _contexts:
        return _contexts[verify]
    context = _verifying() if verify else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return _contexts.setdefault(verify, context)


def _verifying() -> ssl.SSLContext:
    """A context with the certificates that httpx takes."""
    if file := os.environ.get("SSL_CERT_FILE"):
        return ssl.create_default_context(cafile=file)
    if directory := os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context(capath=directory)
    import certifi  # takes its time to load

    return ssl.create_default_context(cafile=certifi.where())
