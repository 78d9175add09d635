"""What the browser of a session tells its user."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ..protocol._wire import WireError
from ..protocol.browser import BrowserNotifyMessage
from ._callbacks import tell
from ._home import Home

if TYPE_CHECKING:
    from ._websocket import Connection

SERVER = "wuying_cdp_mcp_server"

OnMessage = Callable[[BrowserNotifyMessage], Awaitable[object] | None]

_log = logging.getLogger(__name__)


class Notifications:
    """Passes the messages of a browser on, until it is stopped."""

    def __init__(self, connection: Connection, callback: OnMessage) -> None:
        self._home, self._callback = Home(), callback
        self._stop = connection.listen(SERVER, self._arrived)

    def stop(self) -> None:
        """Pass nothing more on; the connection stays. May be called from any thread."""
        self._home.run(self._stop)

    async def _arrived(self, data: dict[str, Any]) -> None:
        try:
            message = BrowserNotifyMessage.from_map(data)
        except WireError as exc:
            _log.warning("a message of the browser makes no sense: %s", exc)
            return
        if message is None:
            return
        try:
            await tell(self._callback, message)
        except Exception:  # noqa: BLE001 - nobody waits for it, and the next one may work
            _log.exception("the callback for messages of the browser failed")


def takeover_done(notify_id: int) -> BrowserNotifyMessage:
    """The message that a user did what the browser asked for."""
    return BrowserNotifyMessage("call-for-user", notify_id, 199, "user handle done", "takeoverdone")
