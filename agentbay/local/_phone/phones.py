"""The Android devices that mobile sessions use, and what is on their screens.

A session has one device for itself: an Android device or emulator that `adb` sees, or a scripted
phone when the environment variable `AGENTBAY_LOCAL_PHONE` names its file.
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ElementTree
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import attrs

from ...protocol.application import InstalledApp, Process
from ...protocol.ui import UIElement
from .._errors import EngineError, ToolFailure
from ..sandbox import Sandbox

SCRIPT = "AGENTBAY_LOCAL_PHONE"

# Numbers of Android's keys.
HOME, BACK, ENTER, DELETE = 3, 4, 66, 67

_BOUNDS = re.compile(r"\[(-?\d{1,6}),(-?\d{1,6})\]\[(-?\d{1,6}),(-?\d{1,6})\]")
_LARGEST_TREE = 8 * 1024 * 1024


@attrs.frozen
class Said:
    """What a command in the shell of a device gave."""

    exit_code: int
    stdout: str = ""
    stderr: str = ""


class Phone(Protocol):
    """A device. Its methods raise `ToolFailure` when it refuses, or does not answer.

    Attributes:
        name: What it is called, for people.
        scripted: Whether it is no Android at all.
        width: Of its screen, in pixels.
        height: Of its screen, in pixels.
    """

    name: str
    scripted: bool
    width: int
    height: int

    async def tap(self, x: int, y: int) -> None: ...

    async def swipe(self, start: tuple[int, int], end: tuple[int, int], ms: int) -> None: ...

    async def type(self, text: str) -> None: ...

    async def press(self, key: int) -> None: ...

    async def tree(self, time_limit: float) -> str:
        """What is on the screen, as the XML of Android's uiautomator."""
        ...

    async def picture(self) -> bytes:
        """What is on the screen, as PNG."""
        ...

    async def apps(self, *, system: bool) -> list[InstalledApp]: ...

    async def start(self, package: str, activity: str, command: str) -> list[Process]: ...

    async def stop(self, package: str) -> None: ...

    async def shell(self, command: str, time_limit: float) -> Said | None:
        """Run a command in the shell of the device; None when its time was up."""
        ...

    def address(self) -> str:
        """The command that connects adb to it."""
        ...


# The devices of adb that sessions have, by their serial; a session that is gone has none.
_taken: WeakKeyDictionary[Sandbox, str] = WeakKeyDictionary()


async def take(sandbox: Sandbox, *, scripted: bool) -> Phone:
    """Give a session a device of its own.

    Args:
        sandbox: The session.
        scripted: Whether nothing but a scripted phone will do.

    Raises:
        EngineError: There is none that is free; says why and what helps.
    """
    # Not at the top: both need what only mobile sessions do.
    if path := os.environ.get(SCRIPT, "").strip():
        from .script import ScriptedPhone

        sandbox.phone = await ScriptedPhone.load(path)
        return sandbox.phone
    if scripted:
        raise EngineError("NoDevice", f"there is no scripted phone: {SCRIPT} names its file")
    from . import adb

    devices = await adb.list_devices()
    held = {serial for owner, serial in _taken.items() if owner.alive}
    # Nothing is awaited from here to the note that it is taken.
    _taken[sandbox] = serial = devices.pick(held)
    sandbox.phone = await devices.open(serial)
    return sandbox.phone


def phone_of(sandbox: Sandbox) -> Phone:
    """The device of a session.

    Raises:
        ToolFailure: It has none.
    """
    if sandbox.phone is None:
        raise ToolFailure("the session has no mobile device: create one with mobile_latest")
    return sandbox.phone


def no_device(reason: str) -> EngineError:
    """The error about a device that is not there."""
    return EngineError(
        "NoDevice",
        f"mobile sessions need an Android device or emulator that adb sees, and {reason}; for "
        f"tests without Android, {SCRIPT} can name the file of a scripted phone",
    )


@attrs.frozen
class Tree:
    """The elements on a screen.

    Attributes:
        outermost: Those that are in no other one; others are their children.
        clickable: All that can be clicked, each without its children.
    """

    outermost: list[UIElement]
    clickable: list[UIElement]


def read_tree(text: str) -> Tree:
    """Read the XML of uiautomator.

    Raises:
        ToolFailure: It is none.
    """
    tree = Tree([], [])
    try:
        if len(text) > _LARGEST_TREE:
            raise ToolFailure("there is too much on the screen of the device", number=-1)
        root = ElementTree.fromstring(text)
        tree.outermost.extend(_element(node, tree.clickable) for node in root.findall("node"))
    except (ElementTree.ParseError, RecursionError) as exc:
        raise ToolFailure("the device does not tell what is on its screen", number=-1) from exc
    return tree


def _element(node: ElementTree.Element, clickable: list[UIElement]) -> UIElement:
    bounds = _BOUNDS.fullmatch(node.get("bounds", ""))
    index = node.get("index", "")
    can_click = node.get("clickable") == "true"
    facts: dict[str, Any] = {
        "bounds": ",".join(bounds.groups()) if bounds else "",
        "className": node.get("class", ""),
        "text": node.get("text") or node.get("content-desc", ""),
        "type": "clickable" if can_click else "",
        "resourceId": node.get("resource-id", ""),
        "index": int(index) if index.isdecimal() else -1,
    }
    if can_click:
        clickable.append(UIElement({**facts, "isParent": len(node) > 0}))
    children = [_element(child, clickable) for child in node.findall("node")]
    return UIElement({**facts, "isParent": bool(children), "children": children})
