"""How the browser of a session is asked for."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, cast

import attrs

from ..errors import InvalidInputError
from ._maps import Map, listed, some_of
from ._wire import Camel, WireError, decode
from .browser_look import BrowserFingerprint, BrowserScreen, BrowserViewport
from .browser_proxy import BrowserProxy
from .fingerprint import FingerprintFormat

FINGERPRINT_PATH = "/tmp/browser_fingerprint"
FINGERPRINT_FILE = f"{FINGERPRINT_PATH}/fingerprint.json"
EXTENSIONS_BASE_PATH = "/tmp/extensions"

_BROWSERS = ("chrome", "chromium")


def _a(kind: type[Any]) -> Callable[[object, Any, object], None]:
    """A validator: a value of one class, or None."""

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is not None and not isinstance(value, kind):
            raise InvalidInputError(
                f"{attribute.name} must be a {kind.__name__}, not {value!r:.80}"
            )

    return check


def _proxies(_: object, __: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    if not isinstance(value, list) or not all(isinstance(item, BrowserProxy) for item in items):
        raise InvalidInputError("proxies must be a list of BrowserProxy objects")
    if len(items) > 1:
        raise InvalidInputError(f"proxies: a browser uses one proxy at most, not {len(items)}")


def _extension_path(_: object, __: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise InvalidInputError(f"extension_path must be text that is not blank, not {value!r:.80}")


def _browser_type(_: object, __: attrs.Attribute[Any], value: object) -> None:
    if value is not None and value not in _BROWSERS:
        known = ", ".join(_BROWSERS)
        raise InvalidInputError(f"browser_type must be one of {known}, not {value!r:.80}")


_FIRST_ORDER = (
    "solve_captchas",
    "proxies",
    "extension_path",
    "cmd_args",
    "default_navigate_url",
    "browser_type",
)
_SECOND_ORDER = (
    "fingerprint_format",
    "fingerprint_persistent",
    "solve_captchas",
    "auto_login",
    "call_for_user",
    *_FIRST_ORDER[1:],
)


@attrs.define(init=False)
class BrowserOption(Map):
    """How the browser of a session is to be.

    Attributes:
        use_stealth: Hide that the browser is automated.
        user_agent: How it names itself; its own name when None.
        viewport: The part of a page that is shown.
        screen: The screen that pages are told about.
        fingerprint: What kind of fingerprint the service makes up.
        fingerprint_format: A fingerprint in all its details.
        fingerprint_persistent: Keep the fingerprint in `FINGERPRINT_FILE`, for a session
            whose `BrowserContext` has a fingerprint context.
        solve_captchas: Let the service solve captchas.
        auto_login: Let the service log in where it has been told how.
        call_for_user: Let the service ask the user for help.
        proxies: At most one proxy.
        extension_path: Directory of extensions to load; None loads none.
        cmd_args: Further arguments for the browser's command line.
        default_navigate_url: Page to open first.
        browser_type: ``chrome`` or ``chromium``; the service's choice when None.

    Raises:
        InvalidInputError: A value that the service would refuse.
    """

    use_stealth: bool = False
    user_agent: str | None = None
    viewport: BrowserViewport | None = attrs.field(default=None, validator=_a(BrowserViewport))
    screen: BrowserScreen | None = attrs.field(default=None, validator=_a(BrowserScreen))
    fingerprint: BrowserFingerprint | None = attrs.field(
        default=None, validator=_a(BrowserFingerprint)
    )
    fingerprint_format: FingerprintFormat | None = attrs.field(
        default=None, validator=_a(FingerprintFormat)
    )
    fingerprint_persistent: bool = False
    solve_captchas: bool = False
    auto_login: bool = False
    call_for_user: bool = False
    proxies: list[BrowserProxy] | None = attrs.field(
        default=None, converter=listed, validator=_proxies
    )
    extension_path: str | None = attrs.field(
        default=f"{EXTENSIONS_BASE_PATH}/", validator=_extension_path
    )
    cmd_args: list[str] | None = attrs.field(
        default=None, converter=listed, validator=some_of(None)
    )
    default_navigate_url: str | None = None
    browser_type: str | None = attrs.field(default=None, validator=_browser_type)

    def __init__(
        self,
        use_stealth: bool = False,
        user_agent: str | None = None,
        viewport: BrowserViewport | None = None,
        screen: BrowserScreen | None = None,
        fingerprint: BrowserFingerprint | None = None,
        *rest: Any,
        fingerprint_format: FingerprintFormat | None = None,
        fingerprint_persistent: bool = False,
        solve_captchas: bool = False,
        auto_login: bool = False,
        call_for_user: bool = False,
        proxies: Sequence[BrowserProxy] | None = None,
        extension_path: str | None = f"{EXTENSIONS_BASE_PATH}/",
        cmd_args: Sequence[str] | None = None,
        default_navigate_url: str | None = None,
        browser_type: str | None = None,
    ) -> None:
        """Make one. `rest` is for programs that pass more by position, in either order."""
        named_values: dict[str, Any] = {
            "fingerprint_format": fingerprint_format,
            "fingerprint_persistent": fingerprint_persistent,
            "solve_captchas": solve_captchas,
            "auto_login": auto_login,
            "call_for_user": call_for_user,
            "proxies": proxies,
            "extension_path": extension_path,
            "cmd_args": cmd_args,
            "default_navigate_url": default_navigate_url,
            "browser_type": browser_type,
        }
        self.__attrs_init__(  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
            use_stealth,
            user_agent,
            viewport,
            screen,
            fingerprint,
            **{**named_values, **_by_position(rest)},
        )

    @property
    def fingerprint_persist_path(self) -> str | None:
        """The file in the session that keeps the fingerprint; None when none does."""
        return FINGERPRINT_FILE if self.fingerprint_persistent else None

    def to_map(self) -> dict[str, Any]:
        """The dictionary that travels; without what is None."""
        values = {
            "useStealth": self.use_stealth,
            "userAgent": self.user_agent,
            "viewport": _mapped(self.viewport),
            "screen": _mapped(self.screen),
            "fingerprint": _mapped(self.fingerprint),
            "fingerprintRawData": _raw(self.fingerprint_format),
            "fingerprintPersistPath": self.fingerprint_persist_path,
            "solveCaptchas": self.solve_captchas,
            "autoLogin": self.auto_login,
            "callForUser": self.call_for_user,
            "proxies": None if self.proxies is None else [proxy.to_map() for proxy in self.proxies],
            "extensionPath": self.extension_path,
            "cmdArgs": self.cmd_args,
            "defaultNavigateUrl": self.default_navigate_url,
            "browserType": self.browser_type,
        }
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def _read(cls, m: Mapping[str, Any]) -> Self:
        found = decode(_OptionMap, m)
        return cls(
            found.use_stealth,
            found.user_agent,
            found.viewport,
            found.screen,
            found.fingerprint,
            fingerprint_format=_from_raw(found.fingerprint_raw_data),
            fingerprint_persistent=bool(found.fingerprint_persist_path),
            solve_captchas=found.solve_captchas,
            auto_login=found.auto_login,
            call_for_user=found.call_for_user,
            proxies=found.proxies,
            extension_path=found.extension_path,
            cmd_args=found.cmd_args,
            default_navigate_url=found.default_navigate_url,
            browser_type=found.browser_type,
        )


@attrs.frozen
class _OptionMap(Camel):
    """An option as it travels."""

    use_stealth: bool = False
    user_agent: str | None = None
    viewport: BrowserViewport | None = None
    screen: BrowserScreen | None = None
    fingerprint: BrowserFingerprint | None = None
    fingerprint_raw_data: str | None = None
    fingerprint_persist_path: str | None = None
    solve_captchas: bool = False
    auto_login: bool = False
    call_for_user: bool = False
    proxies: list[BrowserProxy] | None = None
    extension_path: str | None = None
    cmd_args: list[str] | None = None
    default_navigate_url: str | None = None
    browser_type: str | None = None


def _by_position(rest: tuple[Any, ...]) -> dict[str, Any]:
    """What arguments after the fifth mean: the sixth is a bool in the first generation only."""
    if not rest:
        return {}
    names = _FIRST_ORDER if isinstance(rest[0], bool) else _SECOND_ORDER
    if len(rest) > len(names):
        raise InvalidInputError(f"BrowserOption takes {5 + len(names)} values at most")
    return dict(zip(names, rest, strict=False))


def _mapped(part: Map | None) -> dict[str, Any] | None:
    return None if part is None else part.to_map()


def _raw(value: FingerprintFormat | None) -> str | None:
    return None if value is None else base64.b64encode(value.to_json().encode()).decode()


def _from_raw(text: str | None) -> FingerprintFormat | None:
    if text is None:
        return None
    try:
        return FingerprintFormat.load(json.loads(base64.b64decode(text, validate=True)))
    except ValueError as exc:
        raise WireError(f"fingerprintRawData: {exc}") from exc
