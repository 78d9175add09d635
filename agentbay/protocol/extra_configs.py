"""Settings that only some images have; those of a mobile session."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self, cast

import attrs

from ..errors import InvalidInputError
from ._wire import Pascal, WireError, decode, encode


class MobileSimulateMode(StrEnum):
    """Which traits of another device a mobile session takes on."""

    PROPERTIES_ONLY = "PropertiesOnly"
    SENSORS_ONLY = "SensorsOnly"
    PACKAGES_ONLY = "PackagesOnly"
    SERVICES_ONLY = "ServicesOnly"
    ALL = "All"


class Settings(Pascal):
    """What the settings have in common: they can be checked, and written as a mapping."""

    __slots__ = ()

    def validate(self) -> None:
        """Refuse what the service could not use.

        Raises:
            InvalidInputError: A value cannot be used.
        """

    def to_map(self) -> dict[str, Any]:
        """The settings that were made, under the names that the service uses."""
        return cast("dict[str, Any]", encode(self))

    @classmethod
    def from_map(cls, m: Mapping[str, Any] | None = None) -> Self:
        """Read settings back from what `to_map` gave.

        Raises:
            InvalidInputError: The mapping has another shape.
        """
        try:
            return decode(cls, m or {})
        except WireError as exc:
            raise InvalidInputError(str(exc)) from exc


def _check_texts(what: str, items: object) -> None:
    if items is None:
        return
    if not isinstance(items, list) or not all(map(_is_text, cast("list[object]", items))):
        raise InvalidInputError(f"{what} must be a list of text, not {items!r:.80}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _or_empty(names: list[str] | None) -> list[str]:
    return [] if names is None else names


@attrs.frozen
class AppManagerRule(Settings):
    """Which apps may be used.

    Attributes:
        rule_type: ``White`` allows only the listed apps, ``Black`` forbids them.
        app_package_name_list: Package names, such as ``com.example.app``.
    """

    rule_type: str | None = None
    app_package_name_list: list[str] = attrs.field(default=None, converter=_or_empty)

    def validate(self) -> None:
        """Refuse package names that are not text."""
        _check_texts("app_package_name_list", self.app_package_name_list)


@attrs.frozen
class MobileSimulateConfig(Settings):
    """Make a mobile session look like another device; the service is not told of it.

    Attributes:
        simulate: Whether to do so.
        simulate_path: Directory of the session that holds the facts about the device.
        simulate_mode: Which of them to take on; the properties when None.
        simulated_context_id: Context that holds the facts, and is brought into the session.
    """

    simulate: bool = False
    simulate_path: str | None = None
    simulate_mode: MobileSimulateMode | None = attrs.field(
        default=None, converter=attrs.converters.optional(MobileSimulateMode)
    )
    simulated_context_id: str | None = None

    def validate(self) -> None:
        """Refuse a simulation without its directory; one that is off needs none."""
        if self.simulate and not self.simulate_path:
            raise InvalidInputError("simulate_path is required when simulate is True")


@attrs.frozen
class MobileExtraConfig(Settings):
    """How a mobile session is set up.

    Attributes:
        lock_resolution: Whether apps are kept from changing the resolution.
        app_manager_rule: Which apps may be used.
        hide_navigation_bar: Whether the bar at the bottom is hidden.
        uninstall_blacklist: Package names of apps that cannot be removed.
        simulate_config: Which other device the session looks like.
    """

    lock_resolution: bool | None = None
    app_manager_rule: AppManagerRule | None = None
    hide_navigation_bar: bool | None = None
    uninstall_blacklist: list[str] | None = None
    simulate_config: MobileSimulateConfig | None = None

    def to_map(self) -> dict[str, Any]:
        """The settings that were made, but for the simulation, which does not travel."""
        return cast("dict[str, Any]", encode(self.sent()))

    def sent(self) -> Self:
        """The settings that travel: the simulation is carried out by the client."""
        return attrs.evolve(self, simulate_config=None)

    def validate(self) -> None:
        """Refuse lists of anything but text, and a simulation without its directory."""
        _check_texts("uninstall_blacklist", self.uninstall_blacklist)
        for part in (self.app_manager_rule, self.simulate_config):
            if part is not None:
                part.validate()


@attrs.frozen
class ExtraConfigs(Settings):
    """Settings that only some images have."""

    mobile: MobileExtraConfig | None = None

    def to_map(self) -> dict[str, Any]:
        """The settings that were made, under the names that the service uses."""
        return cast("dict[str, Any]", encode(self.sent()))

    def sent(self) -> Self:
        """The settings that travel."""
        return self if self.mobile is None else attrs.evolve(self, mobile=self.mobile.sent())

    def validate(self) -> None:
        """Refuse what the service could not use."""
        if self.mobile is not None:
            self.mobile.validate()
