"""What pages see of a browser: its screen, and the fingerprint that the service makes up."""

from __future__ import annotations

from typing import Any

import attrs

from ..errors import InvalidInputError
from ._calls import not_blank
from ._maps import Map, listed, some_of

_DEVICES = ("desktop", "mobile")
_SYSTEMS = ("windows", "macos", "linux", "android", "ios")


def _length(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInputError(f"{attribute.name} must be a positive integer, not {value!r}")


@attrs.define
class BrowserViewport(Map):
    """The part of a page that is shown, in CSS pixels."""

    width: int = attrs.field(default=1920, validator=_length)
    height: int = attrs.field(default=1080, validator=_length)


@attrs.define
class BrowserScreen(Map):
    """The screen that pages are told about, in CSS pixels."""

    width: int = attrs.field(default=1920, validator=_length)
    height: int = attrs.field(default=1080, validator=_length)


@attrs.define
class BrowserFingerprint(Map):
    """What kind of fingerprint the service makes up for the browser.

    Attributes:
        devices: Any of ``desktop`` and ``mobile``.
        operating_systems: Any of ``windows``, ``macos``, ``linux``, ``android`` and ``ios``.
        locales: Languages, such as ``en-US``.
    """

    devices: list[str] | None = attrs.field(
        default=None, converter=listed, validator=some_of(_DEVICES)
    )
    operating_systems: list[str] | None = attrs.field(
        default=None, converter=listed, validator=some_of(_SYSTEMS)
    )
    locales: list[str] | None = attrs.field(default=None, converter=listed, validator=some_of(None))


@attrs.define
class BrowserFingerprintContext:
    """The context that keeps the fingerprint of a browser from session to session.

    Attributes:
        fingerprint_context_id: Which context.
    """

    fingerprint_context_id: str = attrs.field(validator=not_blank)
