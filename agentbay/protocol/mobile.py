"""Mobile devices: what only they can do, and the shell scripts that set them up."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Sequence

import attrs

from ..errors import InvalidInputError
from ._calls import Content, Tool
from ._checks import WHOLE
from ._images import JPEG, PNG, Image, image_format, read_image, write_image
from ._wire import named, to_json
from .extra_configs import MobileSimulateMode, check_package_names
from .ui import SERVER

MOBILE_INFO_PATH = "/data/agentbay_mobile_info"
MOBILE_INFO_FOLDER = "/agentbay_mobile_info/"
MOBILE_INFO_FILE = "dev_info.json"

_MODES = {
    MobileSimulateMode.PROPERTIES_ONLY: "",
    MobileSimulateMode.SENSORS_ONLY: "-sensors",
    MobileSimulateMode.PACKAGES_ONLY: "-packages",
    MobileSimulateMode.SERVICES_ONLY: "-services",
    MobileSimulateMode.ALL: "-all",
}


# -- tools -----------------------------------------------------------------------------


@attrs.frozen
class Tap(Tool[None], tool="tap", server=SERVER):
    """Touch the screen at a point."""

    x: int = named(doc="Pixels from the left edge of the screen.", converter=WHOLE)
    y: int = named(doc="Pixels from the upper edge of the screen.", converter=WHOLE)


def _screens(_: object, __: attrs.Attribute[int], value: object) -> None:
    if not _within(value, 2, 10):
        raise InvalidInputError(
            f"Invalid max_screens: must be an integer in [2, 10], not {value!r:.80}"
        )


def _quality(_: object, __: attrs.Attribute[int | None], value: object) -> None:
    if value is not None and not _within(value, 1, 100):
        raise InvalidInputError(
            f"Invalid quality: must be an integer in [1, 100], not {value!r:.80}"
        )


def _within(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


@attrs.frozen
class LongScreenshot(Tool[Image], tool="long_screenshot", server="wuying_capture"):
    """Take a picture of what a view shows while it is scrolled."""

    max_screens: int = named(doc="How many screens high at most.", default=4, validator=_screens)
    format: str = named(doc="png or jpeg.", default=PNG, converter=image_format)
    quality: int | None = named(doc="Of a jpeg, from 1 to 100.", default=None, validator=_quality)

    def fitting(self) -> LongScreenshot:
        """The same without a quality that its format does not have."""
        return self if self.format == JPEG else attrs.evolve(self, quality=None)

    def read(self, text: str) -> Image:
        """Read the picture."""
        return read_image(text, self.format)

    def write(self, value: Image) -> Content:
        """Write the picture."""
        return Content(write_image(value))


def adb_option(adbkey_pub: str) -> str:
    """The option of a link for adb: the public key that may use it.

    Raises:
        InvalidInputError: No key is given.
    """
    if not isinstance(adbkey_pub, str) or not adbkey_pub.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInputError("adbkey_pub must be the public key of adb (~/.android/adbkey.pub)")
    return to_json({"adbkey_pub": adbkey_pub})


# -- scripts ---------------------------------------------------------------------------


def resolution_lock_script(enable: bool) -> str:
    """Keep applications from changing the resolution, or let them."""
    return f"setprop sys.wuying.lockres {int(_flag('enable', enable))}"


def navigation_bar_script(hide: bool) -> str:
    """Hide the navigation bar, or show it."""
    shown = "false" if _flag("hide", hide) else "true"
    # The bar is drawn anew by the process that shows it; there may be none at the moment.
    return f"setprop persist.wy.hasnavibar {shown} && {{ killall com.android.systemui || true; }}"


def app_whitelist_script(package_names: Sequence[str]) -> str:
    """Let only these applications run.

    Raises:
        InvalidInputError: The list is empty, or has something that is no package name.
    """
    if not package_names:
        raise InvalidInputError("package_names must not be empty: no application could run")
    return _app_list("whitelist", package_names, 2)


def app_blacklist_script(package_names: Sequence[str]) -> str:
    """Keep these applications from running; an empty list forbids none.

    Raises:
        InvalidInputError: Something in the list is no package name.
    """
    return _app_list("blacklist", package_names, 1)


def uninstall_blacklist_script(package_names: Sequence[str], stamp: int) -> str:
    """Keep these applications from being removed; an empty list protects none.

    Images of the first generation read a property, later ones a file. The length of a
    property is limited, so what cannot be set there does not fail the file.

    Args:
        package_names: The packages.
        stamp: A number that differs from that of the call before, such as the time.

    Raises:
        InvalidInputError: Something in the list is no package name.
    """
    names = ";".join(check_package_names("package_names", package_names))
    return (
        f"setprop persist.wy.pm_lock {shlex.quote(names)} 2>/dev/null; "
        f"{_write('/data/system/pm_lock.conf', package_names)} && "
        f"setprop persist.wy.pm_lock.trigger {stamp}"
    )


def simulate_script(path: str, mode: MobileSimulateMode | None) -> str:
    """Take on the traits of the device that a directory of the session describes."""
    directory = shlex.quote(path)
    file = shlex.quote(posixpath.join(path, MOBILE_INFO_FILE))
    option = _MODES[mode or MobileSimulateMode.PROPERTIES_ONLY]
    words = [word for word in ("wya", "apply", option, file) if word]
    return f"chmod -R a+rwx {directory}; {' '.join(words)}"


def _app_list(kind: str, package_names: Sequence[str], switch: int) -> str:
    return (
        f"{_write(f'/data/system/pm_{kind}.txt', package_names)} && "
        f"setprop rw.wy.pm_{kind}.refresh 1 && "
        f"setprop persist.wy.pm_blacklist.switch {switch}"
    )


def _write(path: str, package_names: Sequence[str]) -> str:
    """Write names to a file, one a line."""
    names = check_package_names("package_names", package_names)
    quoted = " ".join(shlex.quote(name) for name in names)
    content = f"printf '%s\\n' {quoted}" if names else ":"
    return f"{content} > {path} && chmod 644 {path}"


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name} must be True or False, not {value!r:.80}")
    return value
