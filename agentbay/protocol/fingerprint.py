"""A browser's fingerprint in all its details, as JSON writes it.

The attributes are named as the keys of the JSON are, so that a file and an object read alike.
"""
# ruff: noqa: N815

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

import attrs

from ..errors import InvalidInputError
from ._wire import WireError, decode, encode, fields, named

T = TypeVar("T")

_UNKNOWN = "Unknown"


@attrs.frozen
class ScreenFingerprint:
    """The screen and the window; every value is needed."""

    availHeight: int
    availWidth: int
    availTop: int
    availLeft: int
    colorDepth: int
    height: int
    pixelDepth: int
    width: int
    devicePixelRatio: float
    pageXOffset: int
    pageYOffset: int
    innerHeight: int
    outerHeight: int
    outerWidth: int
    innerWidth: int
    screenX: int
    clientWidth: int
    clientHeight: int
    hasHDR: bool


@attrs.frozen
class Brand:
    """A name under which a browser goes, and its version."""

    brand: str = ""
    version: str = ""


@attrs.frozen
class UserAgentData:
    """What a browser tells about itself beside its user agent."""

    brands: list[Brand] = attrs.field(factory=list[Brand])
    mobile: bool = False
    platform: str = ""
    architecture: str = ""
    bitness: str = ""
    fullVersionList: list[Brand] = attrs.field(factory=list[Brand])
    model: str = ""
    platformVersion: str = ""
    uaFullVersion: str = ""


@attrs.frozen
class ExtraProperties:
    """Traits by which browsers differ that no standard names."""

    vendorFlavors: list[str] = attrs.field(factory=list[str])
    isBluetoothSupported: bool = False
    globalPrivacyControl: Any = None
    pdfViewerEnabled: bool = True
    installedApps: list[Any] = attrs.field(factory=list[Any])


@attrs.frozen
class NavigatorFingerprint:
    """The values of a page's ``navigator``."""

    userAgent: str = ""
    userAgentData: UserAgentData = attrs.field(factory=UserAgentData)
    doNotTrack: str = ""
    appCodeName: str = ""
    appName: str = ""
    appVersion: str = ""
    oscpu: str = ""
    webdriver: str = ""
    language: str = ""
    languages: list[str] = attrs.field(factory=list[str])
    platform: str = ""
    deviceMemory: int | None = None
    hardwareConcurrency: int = 8
    product: str = ""
    productSub: str = ""
    vendor: str = ""
    vendorSub: str = ""
    maxTouchPoints: int | None = None
    extraProperties: ExtraProperties = attrs.field(factory=ExtraProperties)


@attrs.frozen
class VideoCard:
    """The graphics card, as WebGL tells it."""

    renderer: str = _UNKNOWN
    vendor: str = _UNKNOWN


def _video_card(raw: Any) -> Any:
    """Pages that have no WebGL leave something else here."""
    return cast("Mapping[str, Any]", raw) if isinstance(raw, Mapping) else {}


@attrs.frozen
class Fingerprint:
    """By what pages recognise a browser."""

    screen: ScreenFingerprint
    navigator: NavigatorFingerprint
    videoCodecs: dict[str, str] = attrs.field(factory=dict[str, str])
    audioCodecs: dict[str, str] = attrs.field(factory=dict[str, str])
    pluginsData: dict[str, Any] = attrs.field(factory=dict[str, Any])
    battery: dict[str, Any] | None = None
    videoCard: VideoCard = named(read=_video_card, factory=VideoCard)
    multimediaDevices: Any = attrs.field(factory=list[Any])
    fonts: list[str] = attrs.field(factory=list[str])
    mockWebRTC: bool = False
    slim: bool | None = None


@attrs.frozen
class FingerprintFormat:
    """A fingerprint, and the headers that requests of the browser carry.

    Example:
        ```python
        option = BrowserOption(fingerprint_format=FingerprintFormat.load(text))
        ```
    """

    fingerprint: Fingerprint
    headers: dict[str, str] = attrs.field(factory=dict[str, str])

    @classmethod
    def load(cls, data: Mapping[str, Any] | str) -> Self:
        """Read a fingerprint from JSON, as text or as the dictionary that it stands for.

        Raises:
            InvalidInputError: It is neither, a value is missing or has another type, or the
                screen has one that it should not have.
        """
        if isinstance(data, str):
            return cls._from_json(data)
        if not isinstance(data, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"a fingerprint is a dictionary or JSON, not {data!r:.80}")
        return cls._from_dict(data)

    @classmethod
    def create(
        cls,
        screen: ScreenFingerprint,
        navigator: NavigatorFingerprint,
        video_card: VideoCard,
        headers: Mapping[str, str],
        video_codecs: Mapping[str, str] | None = None,
        audio_codecs: Mapping[str, str] | None = None,
        plugins_data: Mapping[str, Any] | None = None,
        battery: Mapping[str, Any] | None = None,
        multimedia_devices: Any = None,
        fonts: list[str] | None = None,
        mock_webrtc: bool = False,
        slim: bool | None = None,
    ) -> Self:
        """Make one from its parts; those that are not given are empty."""
        fingerprint = Fingerprint(
            screen,
            navigator,
            dict(video_codecs or {}),
            dict(audio_codecs or {}),
            dict(plugins_data or {}),
            None if battery is None else dict(battery),
            video_card,
            [] if multimedia_devices is None else multimedia_devices,
            list(fonts or []),
            mock_webrtc,
            slim,
        )
        return cls(fingerprint, dict(headers))

    def to_dict(self) -> dict[str, Any]:
        """The dictionary that `load` reads."""
        return cast("dict[str, Any]", encode(self))

    def to_json(self, indent: int = 2, ensure_ascii: bool = False) -> str:
        """The text that `load` reads."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=ensure_ascii)

    @classmethod
    def _from_dict(cls, data: Mapping[str, Any]) -> Self:
        try:
            value = decode(cls, data)
        except WireError as exc:
            raise InvalidInputError(str(exc)) from exc
        screen = cast("Mapping[str, Any]", data["fingerprint"]["screen"])
        unknown = set(screen) - {field.name for field in fields(ScreenFingerprint)}
        if unknown:
            raise InvalidInputError(f"a screen has no {', '.join(sorted(unknown))}")
        return value

    @classmethod
    def _from_json(cls, json_str: str) -> Self:
        try:
            data = json.loads(json_str)
        except ValueError as exc:
            raise InvalidInputError(f"the fingerprint is not JSON: {exc}") from exc
        if not isinstance(data, dict):
            raise InvalidInputError(f"a fingerprint is an object, not {json_str!r:.80}")
        return cls._from_dict(cast("dict[str, Any]", data))

    _to_dict = to_dict
    _to_json = to_json
