"""What a browser is started with besides its program: extensions, a proxy, a first page."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.abc

from ...protocol._wire import WireError, decode
from .._errors import EngineError, ToolFailure
from .cdp import Address, Cdp
from .options import Proxy
from .program import is_branded

if TYPE_CHECKING:
    from ..sandbox import Sandbox

_log = logging.getLogger(__name__)

_FORWARD_LIMIT = 15.0
# Seconds for the first page to answer; one that takes longer goes on loading.
_PAGE_LIMIT = 10.0


async def extension_switches(sandbox: Sandbox, program: Path, path: str | None) -> list[str]:
    """The switches that load the extensions of a directory; none when it has none.

    Raises:
        EngineError: There are some, and this browser does not load them.
    """
    if path is None:
        return []
    reply = await sandbox.call("extensions", {"path": path})
    try:
        found = decode(list[str], reply.data.get("directories"))
    except WireError as exc:
        raise EngineError("BrowserFailed", "the session tells no extensions") from exc
    # A list of paths in one switch: commas part them.
    usable = [directory for directory in found if "," not in directory]
    if len(usable) < len(found):
        reason = f"directories of extensions cannot have commas in their names: {path}"
        raise EngineError("InvalidParameter", reason)
    if usable and is_branded(program):
        reason = "Google Chrome loads no extensions from directories: install chromium beside it"
        raise EngineError("Unsupported", reason)
    paths = ",".join(usable)
    return [f"--load-extension={paths}", f"--disable-extensions-except={paths}"] if usable else []


async def forwarder(sandbox: Sandbox, proxy: Proxy) -> tuple[anyio.abc.AsyncResource, str]:
    """Start what logs in at a proxy for the browser; it ends when it is closed.

    Returns:
        What to close, and its address for the browser.

    Raises:
        EngineError: It does not start.
    """
    login = f"{proxy.username or ''}:{proxy.password or ''}".encode()
    arguments: dict[str, Any] = {
        "host": proxy.host,
        "port": proxy.port,
        "login": base64.b64encode(login).decode(),
    }
    try:
        reply, line = await sandbox.launch("forward", arguments, time_limit=_FORWARD_LIMIT)
    except ToolFailure as exc:
        reason = f"the proxy of the browser does not start: {exc}"
        raise EngineError("BrowserFailed", reason) from exc
    port = reply.data.get("port")
    if isinstance(port, int):
        try:
            return await anyio.abc.UNIXSocketStream.from_socket(line), f"http://127.0.0.1:{port}"
        except BaseException:  # cancelled too: nobody else closes it
            line.close()
            raise
    line.close()
    raise EngineError("BrowserFailed", "the session tells no port of the proxy")


async def default_page(sandbox: Sandbox, address: Address, url: str) -> None:
    """Let the first page of a browser go somewhere; it need not arrive."""
    try:
        async with Cdp.open(sandbox, address) as cdp:
            found = (await cdp.send("Target.getTargets")).get("targetInfos", [])
            pages = [info["targetId"] for info in found if info.get("type") == "page"]
            page = await cdp.attach(pages[0])
            await cdp.send("Page.navigate", {"url": url}, session_id=page, limit=_PAGE_LIMIT)
    except (ToolFailure, LookupError) as exc:
        _log.debug("the first page of a browser does not answer: %s", type(exc).__name__)
