"""The browser of a session: how it is started, reached and stopped, and what it tells."""

from __future__ import annotations

from typing import Any, cast

import attrs

from ._calls import Action, Tool, not_blank
from ._maps import Map
from ._wire import Pascal, encode, named
from .browser_look import BrowserFingerprint as BrowserFingerprint
from .browser_look import BrowserFingerprintContext as BrowserFingerprintContext
from .browser_look import BrowserScreen as BrowserScreen
from .browser_look import BrowserViewport as BrowserViewport
from .browser_option import EXTENSIONS_BASE_PATH as EXTENSIONS_BASE_PATH
from .browser_option import FINGERPRINT_FILE as FINGERPRINT_FILE
from .browser_option import FINGERPRINT_PATH as FINGERPRINT_PATH
from .browser_option import BrowserOption as BrowserOption
from .browser_proxy import BrowserProxy as BrowserProxy
from .session_details import LinkData

BROWSER_DATA_PATH = "/tmp/agentbay_browser"


def _or_empty(value: dict[str, Any] | None) -> dict[str, Any]:
    return value or {}


@attrs.frozen
class BrowserNotifyMessage(Map):
    """What a browser and its user tell each other while a page waits for one of them.

    Attributes:
        type: ``call-for-user`` for all that is known.
        id: Number of the message; `send_takeover_done` takes it.
        code: Why: 101 a captcha, 102 a login, 103 a payment, which the user has to do; 199 the
            user is done; 201 and 202 the service begins and ends with a captcha, 301 and 302
            with a login.
        message: The same in words.
        action: ``takeover``, ``takeoverdone``, ``pause`` or ``resume``.
        extra_params: Further facts, such as ``max_wait_time`` in seconds.
    """

    type: str | None = None
    id: int | None = None
    code: int | None = None
    message: str | None = None
    action: str | None = None
    extra_params: dict[str, Any] = attrs.field(default=None, converter=_or_empty)

    def to_map(self) -> dict[str, Any]:
        """The dictionary that travels; without what is None or empty."""
        values = cast("dict[str, Any]", encode(self))
        if not self.extra_params:
            del values["extraParams"]
        return values


@attrs.frozen
class BrowserPort(Pascal):
    """Where a started browser listens inside its session."""

    port: int = named(also=("port",))


@attrs.frozen
class InitBrowser(Action[BrowserPort], action="InitBrowser", returns=BrowserPort):
    """Start the browser of a session; a reply without a port means that it did not start.

    `browser_option` is what `BrowserOption.to_map` writes, with two facts that are none of
    the option's: `enableRecord` and `behaviorSimulate`.
    """

    session_id: str = attrs.field(validator=not_blank)
    browser_option: dict[str, Any] = named(json_text=True, factory=dict[str, Any], repr=False)
    persistent_path: str = BROWSER_DATA_PATH


@attrs.frozen
class GetCdpLink(Action[LinkData], action="GetCdpLink", returns=LinkData):
    """Get the address at which the browser of a session takes DevTools commands."""

    session_id: str = attrs.field(validator=not_blank)


@attrs.frozen
class StopChrome(Tool[None], tool="stopChrome"):
    """Stop the browser of the session."""
