"""Settings that only some images have; those of a mobile session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

import attrs

from ..errors import InvalidInputError
from ._checks import Choice
from ._wire import Pascal, WireError, decode, encode, named


class MobileSimulateMode(Choice):
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


def check_package_names(what: str, names: object) -> list[str]:
    """Refuse what is no list of package names, such as ``com.example.app``.

    Raises:
        InvalidInputError: No list, or something in it is no name.
    """
    # One text is a sequence of texts too, which is never meant.
    if not isinstance(names, list | tuple):
        raise InvalidInputError(f"{what} must be a list of texts, not {names!r:.80}")
    for name in cast("Sequence[object]", names):
        if not _is_package_name(name):
            raise InvalidInputError(f"{what}: {name!r:.80} is no package name")
    return list(cast("Sequence[str]", names))


def _is_package_name(name: object) -> bool:
    """Lists have a name per line, or are separated by semicolons: nothing else is refused."""
    if not isinstance(name, str) or not name or ";" in name:
        return False
    return name.isprintable() and not any(sign.isspace() for sign in name)


def _or_empty(names: list[str] | None) -> list[str]:
    return [] if names is None else names


@attrs.define
class AppManagerRule(Settings):
    """Which apps may be used.

    Attributes:
        rule_type: ``White`` allows only the listed apps, ``Black`` forbids them.
        app_package_name_list: Package names, such as ``com.example.app``.
    """

    rule_type: str | None = None
    app_package_name_list: list[str] = attrs.field(default=None, converter=_or_empty)

    def validate(self) -> None:
        """Refuse what is no package name, and names without a rule for them."""
        names = check_package_names("app_package_name_list", self.app_package_name_list)
        if names and self.rule_type not in ("White", "Black"):
            raise InvalidInputError(f"rule_type must be White or Black, not {self.rule_type!r:.80}")


@attrs.define
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
        if not self.simulate:
            return
        if not self.simulate_path:
            raise InvalidInputError("simulate_path is required when simulate is True")
        if not self.simulate_path.startswith("/") or "\0" in self.simulate_path:
            raise InvalidInputError(
                f"simulate_path must be an absolute path, not {self.simulate_path!r:.80}"
            )


@attrs.define
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
    # Carried out by the client, so the service is not told.
    simulate_config: MobileSimulateConfig | None = named(default=None, travels=False)

    def validate(self) -> None:
        """Refuse what is no package name, and a simulation without its directory."""
        check_package_names("uninstall_blacklist", self.uninstall_blacklist or [])
        for part in (self.app_manager_rule, self.simulate_config):
            if part is not None:
                part.validate()


@attrs.define
class ExtraConfigs(Settings):
    """Settings that only some images have."""

    mobile: MobileExtraConfig | None = None

    def validate(self) -> None:
        """Refuse what the service could not use."""
        if self.mobile is not None:
            self.mobile.validate()
