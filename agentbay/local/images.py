"""The images of the engine: named sets of tools."""

from __future__ import annotations

from typing import Any

from ..protocol._calls import Tool
from ..protocol.sessions import DEFAULT_IMAGE
from . import _index
from ._errors import EngineError

# The second one is what sessions of the first are told to be when their phone is scripted.
MOBILE, SCRIPTED = "mobile_latest", "mobile_scripted"

# The tools of each image, by the modules that define them.
_BASIC = frozenset({"command", "env", "file_system", "metrics", "oss"})
_DESKTOP = frozenset({"application", "computer", "ui", "window"})
_IMAGES = {
    DEFAULT_IMAGE: _BASIC | _DESKTOP | {"code"},
    "code_latest": _BASIC | {"code"},
    "browser_latest": _BASIC | _DESKTOP | {"browser", "browser_operator"},
    # And what devices do of what desktops do as well.
    MOBILE: _BASIC | {"mobile"},
    SCRIPTED: _BASIC | {"mobile"},
}

_ABSENT = {
    "windows": "sessions are processes of this machine, and it does not run Windows programs",
    "mobile": f"{MOBILE} is the one for whatever Android device there is",
    "android": f"{MOBILE} is the one for whatever Android device there is",
    "imgc-": "images of your account are in the cloud",
}


def check_image(image_id: str | None) -> str:
    """The name of an image that the engine has; the default one when none is named.

    Raises:
        EngineError: It does not have that image; says why.
    """
    name = image_id or DEFAULT_IMAGE
    if name not in _IMAGES:
        reasons = [reason for mark, reason in _ABSENT.items() if mark in name.lower()]
        reason = reasons[0] if reasons else "it does not know that image"
        raise EngineError(
            "InvalidImage", f"the local engine has {', '.join(_IMAGES)}, and not {name}: {reason}"
        )
    return name


def is_mobile(image_id: str) -> bool:
    """Whether sessions of an image have a mobile device."""
    return image_id in (MOBILE, SCRIPTED)


def has_browser(image_id: str) -> bool:
    """Whether sessions of an image have a browser."""
    return "browser" in _IMAGES[image_id]


def has_tool(image_id: str, kind: type[Tool[Any]]) -> bool:
    """Whether a tool is part of an image."""
    return _has(image_id, kind.tool, kind.__module__.rpartition(".")[2])


def images_with(kind: type[Tool[Any]]) -> list[str]:
    """The images that a tool is part of."""
    return [image_id for image_id in _IMAGES if has_tool(image_id, kind)]


def tools_of(image_id: str) -> dict[str, str]:
    """The tools of an image that the engine carries out, and their servers."""
    places = {**_index.TOOLS, **(_index.ON_PHONES if is_mobile(image_id) else {})}
    return {
        name: place.server for name, place in places.items() if _has(image_id, name, place.module)
    }


def _has(image_id: str, tool: str, module: str) -> bool:
    if tool in _index.ON_PHONES and (is_mobile(image_id) or tool not in _index.TOOLS):
        return is_mobile(image_id)
    return module in _IMAGES[image_id]
