"""The browser of a session: how it is asked for, started and reached."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar, cast

import attrs

from ..errors import InvalidInputError
from ._calls import Action, Tool, not_blank
from ._wire import Camel, Pascal, WireError, decode, encode, named
from .fingerprint import FingerprintFormat
from .sessions import LinkData

V = TypeVar("V")

BROWSER_DATA_PATH = "/tmp/agentbay_browser"
FINGERPRINT_PATH = "/tmp/browser_fingerprint"
FINGERPRINT_FILE = f"{FINGERPRINT_PATH}/fingerprint.json"
EXTENSIONS_BASE_PATH = "/tmp/extensions"

_DEVICES = ("desktop", "mobile")
_SYSTEMS = ("windows", "macos", "linux", "android", "ios")
_BROWSERS = ("chrome", "chromium")
_STRATEGIES = {
    "custom": (),
    "wuying": ("restricted", "polling"),
    "managed": ("polling", "sticky", "rotating", "matched"),
}
_PLACES = ("isp", "country", "province", "city")


# -- the parts of an option ------------------------------------------------------------


class _Map(Camel):
    """What can be written as a dictionary of JSON values, and read from one."""

    __slots__ = ()

    def to_map(self) -> dict[str, Any]:
        """The dictionary that travels; without what is None."""
        return cast("dict[str, Any]", encode(self))

    @classmethod
    def from_map(cls, m: Mapping[str, Any] | None = None) -> Self | None:
        """Read the dictionary that `to_map` writes; None when there is nothing to read.

        Raises:
            InvalidInputError: A value is missing or has another type.
        """
        if not m:
            return None
        try:
            return cls._read(m)
        except WireError as exc:
            raise InvalidInputError(str(exc)) from exc

    @classmethod
    def _read(cls, m: Mapping[str, Any]) -> Self:
        return decode(cls, m)

    def _to_map(self) -> dict[str, Any]:
        return self.to_map()

    @classmethod
    def _from_map(cls, m: Mapping[str, Any] | None = None) -> Self | None:
        return cls.from_map(m)


def _length(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInputError(f"{attribute.name} must be a positive integer, not {value!r}")


@attrs.frozen
class BrowserViewport(_Map):
    """The part of a page that is shown, in CSS pixels."""

    width: int = attrs.field(default=1920, validator=_length)
    height: int = attrs.field(default=1080, validator=_length)


@attrs.frozen
class BrowserScreen(_Map):
    """The screen that pages are told about, in CSS pixels."""

    width: int = attrs.field(default=1920, validator=_length)
    height: int = attrs.field(default=1080, validator=_length)


def _listed(value: Any) -> Any:
    return list(cast("Sequence[Any]", value)) if isinstance(value, tuple) else value


def _some_of(known: Sequence[str] | None) -> Callable[[object, Any, object], None]:
    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None:
            return
        if not isinstance(value, list):
            raise InvalidInputError(f"{attribute.name} must be a list of texts, not {value!r:.80}")
        for item in cast("list[object]", value):
            if not isinstance(item, str) or (known is not None and item not in known):
                expected = "texts" if known is None else ", ".join(known)
                raise InvalidInputError(f"{attribute.name}: {item!r:.80} is not one of {expected}")

    return check


@attrs.frozen
class BrowserFingerprint(_Map):
    """What kind of fingerprint the service makes up for the browser.

    Attributes:
        devices: Any of ``desktop`` and ``mobile``.
        operating_systems: Any of ``windows``, ``macos``, ``linux``, ``android`` and ``ios``.
        locales: Languages, such as ``en-US``.
    """

    devices: list[str] | None = attrs.field(
        default=None, converter=_listed, validator=_some_of(_DEVICES)
    )
    operating_systems: list[str] | None = attrs.field(
        default=None, converter=_listed, validator=_some_of(_SYSTEMS)
    )
    locales: list[str] | None = attrs.field(
        default=None, converter=_listed, validator=_some_of(None)
    )


def _proxy_type(_: object, __: attrs.Attribute[Any], value: object) -> None:
    if value not in _STRATEGIES:
        known = ", ".join(_STRATEGIES)
        raise InvalidInputError(f"proxy_type must be one of {known}, not {value!r:.80}")


@attrs.frozen
class BrowserProxy(_Map):
    """The proxy through which the browser reaches the network.

    Attributes:
        type: ``custom`` is a server of yours, ``wuying`` and ``managed`` are the service's.
        server: Address of a custom proxy, such as ``http://127.0.0.1:8080``.
        username: Name to log in with at a custom proxy.
        password: Password to log in with.
        strategy: ``restricted`` or ``polling`` (wuying); ``polling``, ``sticky``,
            ``rotating`` or ``matched`` (managed).
        pollsize: How many addresses a wuying proxy takes turns with.
        user_id: Whose address a managed proxy uses.
        isp: Network that a managed, matched proxy is in.
        country: Country that it is in.
        province: Province that it is in.
        city: City that it is in.
    """

    type: str = attrs.field(alias="proxy_type", validator=_proxy_type)
    server: str | None = None
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    strategy: str | None = None
    pollsize: int = 10
    user_id: str | None = None
    isp: str | None = None
    country: str | None = None
    province: str | None = None
    city: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.type == "custom":
            self._need("server")
            return
        self._need("strategy")
        known = _STRATEGIES[self.type]
        if self.strategy not in known:
            raise InvalidInputError(
                f"the strategy of a {self.type} proxy must be one of {', '.join(known)}, "
                f"not {self.strategy!r:.80}"
            )
        if self._polls and not (type(self.pollsize) is int and self.pollsize > 0):
            raise InvalidInputError(f"pollsize must be a positive integer, not {self.pollsize!r}")
        if self.type == "managed":
            self._need("user_id")
        if self.strategy == "matched" and not any(getattr(self, name) for name in _PLACES):
            raise InvalidInputError(f"a matched proxy needs one of {', '.join(_PLACES)}")

    def to_map(self) -> dict[str, Any]:
        """The dictionary that travels: only what a proxy of this type has."""
        names = {
            "custom": ("type", "server", "username", "password"),
            "wuying": ("type", "strategy", "pollsize"),
            "managed": ("type", "strategy", "userId", *_PLACES),
        }[self.type]
        values = cast("dict[str, Any]", encode(self))
        if not self._polls:
            del values["pollsize"]
        return {name: values[name] for name in names if name in values}

    @property
    def _polls(self) -> bool:
        return self.type == "wuying" and self.strategy == "polling"

    def _need(self, name: str) -> None:
        if not getattr(self, name):
            raise InvalidInputError(f"a {self.type} proxy needs {name}")


@attrs.frozen
class BrowserFingerprintContext:
    """The context that keeps the fingerprint of a browser from session to session."""

    fingerprint_context_id: str = attrs.field(validator=not_blank)


def _or_empty(value: dict[str, Any] | None) -> dict[str, Any]:
    return value or {}


@attrs.frozen
class BrowserNotifyMessage(_Map):
    """What a browser and its user tell each other while a page waits for one of them."""

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


# -- the option ------------------------------------------------------------------------


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


@attrs.frozen(init=False)
class BrowserOption(_Map):
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
        default=None, converter=_listed, validator=_proxies
    )
    extension_path: str | None = attrs.field(
        default=f"{EXTENSIONS_BASE_PATH}/", validator=_extension_path
    )
    cmd_args: list[str] | None = attrs.field(
        default=None, converter=_listed, validator=_some_of(None)
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


def _mapped(part: _Map | None) -> dict[str, Any] | None:
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


# -- requests --------------------------------------------------------------------------


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
