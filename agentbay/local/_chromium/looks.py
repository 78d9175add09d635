"""What pages see of a browser: its name, its screen, its languages.

Part of it are switches of the program, which hold everywhere. The rest are overrides that every
page and worker gets before its first script runs (`_browser_targets`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs

from ...protocol.browser import BrowserFingerprint, BrowserOption
from ...protocol.fingerprint import FingerprintFormat, UserAgentData
from .._desktop.display import HEIGHT, WIDTH
from .._errors import EngineError

_DEFAULT_WINDOW = (1920, 1080)


@attrs.frozen
class _System:
    """What browsers of one operating system tell of it."""

    name: str
    in_user_agent: str
    platform: str
    version: str
    architecture: str
    mobile: bool = False
    model: str = ""


_SYSTEMS = {
    "windows": _System("Windows", "Windows NT 10.0; Win64; x64", "Win32", "15.0.0", "x86"),
    "macos": _System("macOS", "Macintosh; Intel Mac OS X 10_15_7", "MacIntel", "14.6.1", "arm"),
    "linux": _System("Linux", "X11; Linux x86_64", "Linux x86_64", "", "x86"),
    "android": _System(
        "Android",
        "Linux; Android 10; K",
        "Linux armv81",
        "14.0.0",
        "",
        mobile=True,
        model="Pixel 8",
    ),
}
_PHONE = (412, 915)
_PHONE_SCALE, _PHONE_TOUCHES = 2.625, 5

# Runs in every page and worker before their own scripts. Values are set where the browser has
# them itself, so that a page finds no trace on the object that it looks at.
_SCRIPT = """(() => {
  const given = %s;
  const get = (owner, name, value) => {
    const found = Object.getOwnPropertyDescriptor(owner, name);
    if (!found || !found.get) return;
    const getter = new Proxy(found.get, { apply: () => value });
    Object.defineProperty(owner, name, { ...found, get: getter });
  };
  const kind = typeof Navigator === "undefined" ? WorkerNavigator : Navigator;
  for (const [name, value] of Object.entries(given.navigator)) {
    get(kind.prototype, name, value);
  }
  const asks = given.stealth && typeof Notification !== "undefined";
  if (asks && Notification.permission === "denied") {
    get(Notification, "permission", "default");
  }
  if (given.gpu) {
    const names = { 37445: given.gpu[0], 37446: given.gpu[1] };
    for (const name of ["WebGLRenderingContext", "WebGL2RenderingContext"]) {
      if (!globalThis[name]) continue;
      const owner = globalThis[name].prototype;
      owner.getParameter = new Proxy(owner.getParameter, {
        apply: (target, self, args) =>
          args[0] in names ? names[args[0]] : Reflect.apply(target, self, args),
      });
    }
  }
})();"""


@attrs.frozen
class Look:
    """What pages are to see; None for what the browser shows by itself.

    Attributes:
        user_agent: The name of the browser.
        metadata: The same as its client hints tell it.
        platform: The platform of ``navigator``.
        languages: Preferred ones first.
        viewport: Width and height of the part of a page that is shown, in CSS pixels.
        screen: Width and height of the screen.
        scale: Pixels of the device in a CSS pixel.
        mobile: Whether it is a phone.
        touches: Fingers that its screen tells apart.
        cores: Processors that pages are told of.
        navigator: Further values of ``navigator``, by name.
        gpu: Vendor and renderer, as WebGL tells them.
        stealth: Whether to hide that the browser is automated.
    """

    user_agent: str | None = None
    metadata: dict[str, Any] | None = None
    platform: str | None = None
    languages: tuple[str, ...] = ()
    viewport: tuple[int, int] | None = None
    screen: tuple[int, int] | None = None
    scale: float = 0.0
    mobile: bool = False
    touches: int = 0
    cores: int | None = None
    navigator: dict[str, Any] = attrs.field(factory=dict[str, Any])
    gpu: tuple[str, str] | None = None
    stealth: bool = False

    def switches(self, *, window: bool = False) -> list[str]:
        """The part of it that are switches of the program.

        Args:
            window: Whether there is a window, on a screen of its own size.
        """
        whole = ["--window-position=0,0", f"--window-size={WIDTH},{HEIGHT}"]
        found = whole if window else self._sizes()
        if self.user_agent is not None:
            found.append(f"--user-agent={self.user_agent}")
        if self.languages:
            found += [f"--lang={self.languages[0]}", f"--accept-lang={','.join(self.languages)}"]
        if self.stealth:
            found.append("--disable-blink-features=AutomationControlled")
        return found

    def _sizes(self) -> list[str]:
        width, height = self.viewport or self.screen or _DEFAULT_WINDOW
        screen = self.screen or (max(width, _DEFAULT_WINDOW[0]), max(height, _DEFAULT_WINDOW[1]))
        return [f"--window-size={width},{height}", f"--screen-info={{{screen[0]}x{screen[1]}}}"]

    def overrides(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """The commands for one page or worker; `kind` is what the browser calls its type."""
        found: list[tuple[str, dict[str, Any]]] = []
        if self.user_agent is not None and (self.metadata or self.platform or self.languages):
            found.append(("Emulation.setUserAgentOverride", self._names(self.user_agent)))
        if kind == "page" and (self.viewport or self.screen):
            found.append(("Emulation.setDeviceMetricsOverride", self._metrics()))
        if kind in ("page", "iframe") and self.touches:
            touch = {"enabled": True, "maxTouchPoints": min(self.touches, 16)}
            found.append(("Emulation.setTouchEmulationEnabled", touch))
        if script := self._script():
            found += _evaluated(script, page=kind in ("page", "iframe"))
        return found

    def _names(self, user_agent: str) -> dict[str, Any]:
        values: dict[str, Any] = {"userAgent": user_agent}
        if self.languages:
            values["acceptLanguage"] = ",".join(self.languages)
        if self.platform:
            values["platform"] = self.platform
        if self.metadata:
            values["userAgentMetadata"] = self.metadata
        return values

    def _metrics(self) -> dict[str, Any]:
        width, height = self.viewport or (0, 0)
        values: dict[str, Any] = {
            "width": width,
            "height": height,
            "deviceScaleFactor": self.scale,
            "mobile": self.mobile,
        }
        if self.screen:
            values |= {"screenWidth": self.screen[0], "screenHeight": self.screen[1]}
        return values

    def _script(self) -> str:
        values = {**self.navigator, "platform": self.platform, "hardwareConcurrency": self.cores}
        # The browser forgets overrides of these when a page goes elsewhere and another client
        # is connected.
        navigator = {name: value for name, value in values.items() if value is not None}
        if not (self.stealth or navigator or self.gpu):
            return ""
        given = {"stealth": self.stealth, "navigator": navigator, "gpu": self.gpu}
        return _SCRIPT % json.dumps(given)


def _evaluated(script: str, *, page: bool) -> list[tuple[str, dict[str, Any]]]:
    """The commands that run a script before all others."""
    if not page:
        return [("Runtime.evaluate", {"expression": script})]
    source = {"source": script, "runImmediately": True}
    return [("Page.enable", {}), ("Page.addScriptToEvaluateOnNewDocument", source)]


def look_of(option: BrowserOption, version: str, fingerprint: FingerprintFormat | None) -> Look:
    """What an option asks for.

    Args:
        option: The option.
        version: That of the browser.
        fingerprint: What to show in all its details; the option's own, or one that was kept.

    Raises:
        EngineError: No browser here can look like that.
    """
    if fingerprint is not None:
        look = _detailed(fingerprint)
    elif option.fingerprint is not None:
        look = _made_up(option.fingerprint, version)
    elif option.use_stealth:
        system = _SYSTEMS["linux"]
        names = _user_agent(system, version), _metadata(system, version)
        look = Look(*names, system.platform)
    else:
        look = Look()
    look = attrs.evolve(look, stealth=option.use_stealth)
    if option.user_agent is not None:
        # Hints about another browser than the one that is named would contradict it.
        look = attrs.evolve(look, user_agent=option.user_agent, metadata=None, platform=None)
    if option.screen is not None:
        look = attrs.evolve(look, screen=(option.screen.width, option.screen.height))
    if option.viewport is not None:
        look = attrs.evolve(look, viewport=(option.viewport.width, option.viewport.height))
    return look


def _made_up(wanted: BrowserFingerprint, version: str) -> Look:
    system = _SYSTEMS[_system(wanted.devices or [], wanted.operating_systems or [])]
    look = Look(
        _user_agent(system, version),
        _metadata(system, version),
        system.platform,
        _languages(wanted.locales or []),
    )
    if not system.mobile:
        return look
    return attrs.evolve(
        look,
        viewport=_PHONE,
        screen=_PHONE,
        scale=_PHONE_SCALE,
        mobile=True,
        touches=_PHONE_TOUCHES,
    )


def _system(devices: Sequence[str], systems: Sequence[str]) -> str:
    known = {name: "mobile" if found.mobile else "desktop" for name, found in _SYSTEMS.items()}
    order = systems or ("linux", "android")
    fitting = [
        name for name in order if name in known and known[name] in (devices or known.values())
    ]
    if not fitting:
        reason = (
            f"the local browser cannot look like one of {', '.join(systems) or 'any system'} on "
            f"{' or '.join(devices) or 'any device'}: it can be that of windows, macos or linux "
            "on a desktop, or android on mobile"
        )
        raise EngineError("Unsupported", reason)
    return fitting[0]


def _languages(locales: Sequence[str]) -> tuple[str, ...]:
    for locale in locales:
        if not locale.replace("-", "").isalnum() or not locale.isascii():
            reason = f"locales are languages such as en-US, not {locale!r:.80}"
            raise EngineError("InvalidParameter", reason)
    return tuple(locales)


def _user_agent(system: _System, version: str) -> str:
    engine = "AppleWebKit/537.36 (KHTML, like Gecko)"
    mobile = " Mobile" if system.mobile else ""
    # Chromium tells its first number only.
    browser = f"Chrome/{version.partition('.')[0]}.0.0.0{mobile} Safari/537.36"
    return f"Mozilla/5.0 ({system.in_user_agent}) {engine} {browser}"


def _metadata(system: _System, version: str) -> dict[str, Any]:
    names = (("Chromium", version), ("Google Chrome", version), ("Not.A/Brand", "99.0.0.0"))
    return {
        "brands": [{"brand": n, "version": v.partition(".")[0]} for n, v in names],
        "fullVersionList": [{"brand": name, "version": v} for name, v in names],
        "platform": system.name,
        "platformVersion": system.version,
        "architecture": system.architecture,
        "bitness": "64" if system.architecture else "",
        "model": system.model,
        "mobile": system.mobile,
        "wow64": False,
    }


def _detailed(format_: FingerprintFormat) -> Look:
    """The parts of a fingerprint that a browser can show.

    Codecs, fonts, plugins, batteries and media devices stay those that the browser really has.
    """
    screen, navigator = format_.fingerprint.screen, format_.fingerprint.navigator
    card = format_.fingerprint.videoCard
    known = (card.vendor, card.renderer)
    return Look(
        user_agent=navigator.userAgent or None,
        metadata=_hints(navigator.userAgentData) if navigator.userAgentData.brands else None,
        platform=navigator.platform or None,
        languages=_languages(navigator.languages),
        viewport=(screen.innerWidth, screen.innerHeight) if screen.innerWidth > 0 else None,
        screen=(screen.width, screen.height) if screen.width > 0 else None,
        scale=screen.devicePixelRatio,
        mobile=navigator.userAgentData.mobile,
        touches=navigator.maxTouchPoints or 0,
        cores=navigator.hardwareConcurrency,
        navigator=_further(navigator.deviceMemory, navigator.vendor, navigator.productSub),
        gpu=None if "Unknown" in known else known,
    )


def _further(memory: int | None, vendor: str, product: str) -> dict[str, Any]:
    values = {"deviceMemory": memory, "vendor": vendor, "productSub": product}
    return {name: value for name, value in values.items() if value}


def _hints(data: UserAgentData) -> dict[str, Any]:
    return {
        "brands": [attrs.asdict(brand) for brand in data.brands],
        "fullVersionList": [attrs.asdict(brand) for brand in data.fullVersionList],
        "platform": data.platform,
        "platformVersion": data.platformVersion,
        "architecture": data.architecture,
        "bitness": data.bitness,
        "model": data.model,
        "mobile": data.mobile,
    }
