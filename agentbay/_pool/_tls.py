"""How servers are checked: one context for all connections."""

from __future__ import annotations

import functools
import ssl

import anyio.to_thread
import httpx


class Tls:
    """Makes the context when the first connection needs it.

    Args:
        verify: False checks nothing; a context is taken as it is.
    """

    def __init__(self, verify: bool | ssl.SSLContext = True) -> None:
        self._context = verify if isinstance(verify, ssl.SSLContext) else None
        self._verify = verify is not False
        if self._context is not None:
            self._context.set_alpn_protocols(["http/1.1"])

    async def context(self) -> ssl.SSLContext:
        """The context.

        Raises:
            OSError: The certificates cannot be read, those of ``SSL_CERT_FILE`` perhaps.
        """
        if self._context is None:
            # In a thread: it reads some 140 certificates, which takes 25 ms.
            self._context = await anyio.to_thread.run_sync(_shared, self._verify)
        return self._context


@functools.cache
def _shared(verify: bool) -> ssl.SSLContext:
    context = httpx.create_ssl_context(verify=verify)
    context.set_alpn_protocols(["http/1.1"])
    return context
