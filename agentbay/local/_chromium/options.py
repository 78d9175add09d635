"""What a browser is asked to be, checked: what cannot be honoured is refused before it starts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from ...errors import InvalidInputError
from ...protocol.browser import BrowserOption, BrowserProxy
from .._errors import EngineError

# What would break the engine's hold on the browser, and what has an option of its own.
_RESERVED = {
    "remote-": "the engine reaches the browser that way",
    "user-data-dir": "the profile is at a fixed place, which contexts follow",
    "profile-directory": "the profile is at a fixed place, which contexts follow",
    "headless": "the engine decides whether there is a window",
    "type": "it is for the browser's own processes",
    "load-extension": "use extension_path",
    "disable-extensions-except": "use extension_path",
    "user-agent": "use user_agent",
    "proxy-server": "use proxies",
    "proxy-pac-url": "use proxies",
}
_CLOUD = {
    "solveCaptchas": "solving captchas (solve_captchas)",
    "autoLogin": "logging in by itself (auto_login)",
    "callForUser": "calling for its user (call_for_user)",
    "behaviorSimulate": "imitating the behaviour of people (AGENTBAY_BROWSER_BEHAVIOR_SIMULATE)",
}
_SCHEMES = ("http", "https", "socks4", "socks5")

_PAGE = re.compile(r"(?:https?|file|about|chrome):\S+|data:[^\r\n]+", re.IGNORECASE)
_SWITCH = re.compile(r"--(?P<name>[a-z0-9][a-z0-9-]*)(?:=[^\0]*)?", re.IGNORECASE | re.DOTALL)

# Pixels: more than any screen has, and less than what makes a browser fail.
_LARGEST = 16_384


@attrs.frozen
class Proxy:
    """A proxy of the user: a scheme, a host, a port, and perhaps a login."""

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)

    @property
    def address(self) -> str:
        """How a browser is told of it, without the login."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@attrs.frozen
class Wanted:
    """How a browser is to be.

    Attributes:
        option: What the client asked for.
        proxy: The proxy that it names.
        records: Whether what it shows is to be recorded.
    """

    option: BrowserOption
    proxy: Proxy | None = None
    records: bool = False


def check_option(values: Mapping[str, Any]) -> Wanted:
    """Read the option of a request.

    Raises:
        EngineError: It cannot be honoured, or makes no sense; says what and why.
    """
    asked = [what for name, what in _CLOUD.items() if values.get(name)]
    if asked:
        raise _refused(f"{' and '.join(asked)} needs the services of the AgentBay cloud")
    option = _read(values)
    _check_sizes(option)
    _check_page(option.default_navigate_url)
    _check_user_agent(option.user_agent)
    _check_arguments(option.cmd_args or ())
    _check_extensions(option.extension_path)
    proxy = _proxy(option.proxies[0]) if option.proxies else None
    return Wanted(option, proxy, values.get("enableRecord") is True)


def _read(values: Mapping[str, Any]) -> BrowserOption:
    try:
        option = BrowserOption.from_map(values) or BrowserOption()
    except InvalidInputError as exc:
        raise EngineError("InvalidParameter", f"BrowserOption: {exc}") from exc
    format_ = option.fingerprint_format
    if format_ is not None and format_.fingerprint.mockWebRTC:
        raise _refused("the local browser cannot mock WebRTC (mockWebRTC of the fingerprint)")
    if option.fingerprint is not None and option.fingerprint_format is not None:
        reason = "fingerprint and fingerprint_format contradict each other: give one"
        raise EngineError("InvalidParameter", reason)
    return option


def _check_sizes(option: BrowserOption) -> None:
    for name, size in (("viewport", option.viewport), ("screen", option.screen)):
        if size is not None and max(size.width, size.height) > _LARGEST:
            reason = f"the {name} has {_LARGEST} pixels at most, not {size.width} x {size.height}"
            raise EngineError("InvalidParameter", reason)


def _check_page(address: str | None) -> None:
    if address is not None and not _PAGE.fullmatch(address):
        reason = "default_navigate_url must be a whole address such as https://x.org"
        raise EngineError("InvalidParameter", f"{reason}, not {address!r:.200}")


def _check_user_agent(text: str | None) -> None:
    if text is not None and (not text.isprintable() or not text.strip()):
        raise EngineError("InvalidParameter", "user_agent must be one line of text")


def _check_arguments(arguments: Sequence[object]) -> None:
    for argument in arguments:
        match = _SWITCH.fullmatch(argument) if isinstance(argument, str) else None
        if match is None:
            reason = f"cmd_args are switches such as --mute-audio, not {argument!r:.80}"
            raise EngineError("InvalidParameter", reason)
        name = match["name"].lower()
        for reserved, why in _RESERVED.items():
            if name == reserved or (reserved.endswith("-") and name.startswith(reserved)):
                raise _refused(f"cmd_args cannot have --{name}: {why}")


def _check_extensions(path: str | None) -> None:
    if path is not None and (not posixpath.isabs(path) or "\0" in path or "," in path):
        reason = f"extension_path must be an absolute path without commas, not {path!r:.200}"
        raise EngineError("InvalidParameter", reason)


def _proxy(proxy: BrowserProxy) -> Proxy:
    if proxy.type != "custom":
        reason = f"proxies of the type {proxy.type} belong to the AgentBay cloud"
        raise _refused(f"{reason}: give a server of yours, of the type custom")
    found = _parsed(proxy.server or "")
    if (proxy.username or proxy.password) and found.scheme != "http":
        raise _refused(f"it cannot log in at a {found.scheme} proxy: use one of http, or no login")
    return attrs.evolve(found, username=proxy.username, password=proxy.password)


def _parsed(server: str) -> Proxy:
    text = server if "://" in server else f"http://{server}"
    # What is wrong may be a login that somebody put into the address, so nothing is repeated.
    reason = "the server of a proxy must be like http://proxy.example:3128"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise EngineError("InvalidParameter", reason) from exc
    if parts.username is not None or parts.password is not None:
        raise EngineError("InvalidParameter", f"{reason}: use username and password for the login")
    if parts.scheme not in _SCHEMES:
        raise EngineError("InvalidParameter", f"{reason}; it may be {', '.join(_SCHEMES)}")
    if not host or not _plain(host) or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise EngineError("InvalidParameter", reason)
    default = {"http": 80, "https": 443}.get(parts.scheme, 1080)
    return Proxy(parts.scheme, host, default if port is None else port)


def _plain(host: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9.:_-]+", host) is not None


def _refused(reason: str) -> EngineError:
    return EngineError("Unsupported", f"the local engine does not have this: {reason}")
