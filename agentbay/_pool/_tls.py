"""How servers are checked: one context for all connections."""

from __future__ import annotations

import functools
import os
import ssl

import anyio.to_thread


class Tls:
    """Makes the context when the first connection needs it.

    Args:
        verify: False checks nothing; a context is taken as it is.

    Attributes:
        ready: The context; None before it is made.
    """

    def __init__(self, verify: bool | ssl.SSLContext = True) -> None:
        self.ready: ssl.SSLContext | None = None
        self._verify = verify is not False
        if isinstance(verify, ssl.SSLContext):
            verify.set_alpn_protocols(["http/1.1"])
            self.ready = verify

    async def context(self) -> ssl.SSLContext:
        """The context.

        Raises:
            OSError: The certificates cannot be read, those of ``SSL_CERT_FILE`` perhaps.
        """
        if self.ready is None:
            # In a thread: it reads some 140 certificates, which takes 25 ms.
            self.ready = await anyio.to_thread.run_sync(_shared, self._verify)
        return self.ready


@functools.cache
def _shared(verify: bool) -> ssl.SSLContext:
    context = _verifying() if verify else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def _verifying() -> ssl.SSLContext:
    """A context with the certificates that httpx takes."""
    if file := os.environ.get("SSL_CERT_FILE"):
        return ssl.create_default_context(cafile=file)
    if directory := os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context(capath=directory)
    import certifi  # takes its time to load

    return ssl.create_default_context(cafile=certifi.where())
