"""A phone without Android, for tests of mobile agents: `_phone_file` tells what it can do.

It says what it is: its properties, its name, the image of its session and the log.
"""

from __future__ import annotations

import importlib.util
import logging
import shlex
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

from ...errors import InvalidInputError
from ...protocol.application import InstalledApp, Process
from .._errors import EngineError, ToolFailure
from .._threads import in_thread
from .phones import BACK, DELETE, ENTER, HOME, SCRIPT, Said
from .script_file import App, Element, Rule, Screen, Script, read_script

_log = logging.getLogger(__name__)

MODEL = "agentbay scripted phone"

_LARGEST = 1 << 20
_LONGEST_TEXT = 10_000
_MOST_BACK = 100
_FIRST_PID = 1000
_NOT_FOUND = 127


class ScriptedPhone:
    """A phone that a file describes; see `Phone` for what it does."""

    scripted: bool = True

    def __init__(self, script: Script) -> None:
        self.name: str = f"scripted phone {script.name!r}"
        self.width, self.height = script.size
        self._script = script
        self._properties = {
            "ro.product.model": MODEL,
            "ro.product.manufacturer": "agentbay",
            "ro.agentbay.scripted": "1",
        }
        self._texts: dict[tuple[str, str], str] = {}
        self._before: list[str] = []
        self._screen = script.start
        self._focus = ""
        self._app: App | None = None

    @classmethod
    async def load(cls, name: str) -> ScriptedPhone:
        """Read the file of a phone.

        Raises:
            EngineError: It cannot be read, makes no sense, or cannot be drawn here.
        """
        if importlib.util.find_spec("PIL") is None:
            reason = "a scripted phone is drawn with Pillow: `pip install pillow`"
            raise EngineError("InvalidPhone", reason)
        # Not at the top: it needs Pillow.
        from .picture import check_color

        try:
            text = await in_thread(_read, name)
            script = read_script(text, toml=not name.lower().endswith(".json"))
            for screen in script.screens.values():
                for color in (screen.color, *(element.color for element in screen.elements)):
                    check_color(color)
        except (OSError, UnicodeDecodeError, InvalidInputError) as exc:
            reason = f"{SCRIPT} names a file that is no scripted phone: {exc}"
            raise EngineError("InvalidPhone", reason) from exc
        _log.info("this mobile session has a scripted phone, and no Android")
        return cls(script)

    # -- what fingers do ---------------------------------------------------------------

    async def tap(self, x: int, y: int) -> None:
        hit = [element for element in self._shown.elements if element.has(x, y)]
        if not hit:
            return
        # What comes last was drawn over the others.
        element = hit[-1]
        self._focus = element.id if element.input else ""
        if element.id and self._follow(lambda rule: rule.tap == element.id):
            return
        if element.goto:
            self._go(element.goto)

    async def swipe(self, start: tuple[int, int], end: tuple[int, int], ms: int) -> None:
        right, down = end[0] - start[0], end[1] - start[1]
        if abs(right) < 10 and abs(down) < 10:
            await self.tap(*start)
        elif abs(right) > abs(down):
            self._follow(lambda rule: rule.swipe == ("right" if right > 0 else "left"))
        else:
            self._follow(lambda rule: rule.swipe == ("down" if down > 0 else "up"))

    async def type(self, text: str) -> None:
        first, *more = text.split("\n")
        self._write(first)
        for line in more:
            await self.press(ENTER)
            if line:
                self._write(line)

    async def press(self, key: int) -> None:
        if self._follow(lambda rule: rule.key == key):
            return
        if key == HOME:
            self._go(self._script.start)
            self._app = None
        elif key == BACK and self._before:
            self._show(self._before.pop())
        elif key == DELETE and self._focus:
            place = (self._screen, self._focus)
            self._texts[place] = self._texts.get(place, "")[:-1]

    def _write(self, text: str) -> None:
        if not self._focus:
            raise ToolFailure("no text field has the focus: tap one")
        place = (self._screen, self._focus)
        self._texts[place] = (self._texts.get(place, "") + text)[:_LONGEST_TEXT]

    def _follow(self, fits: Callable[[Rule], bool]) -> bool:
        """Go where the first rule leads that fits; False if none does."""
        for rule in self._shown.rules:
            texts = {name: self._texts.get((self._screen, name), "") for name in rule.when}
            if fits(rule) and texts == rule.when:
                self._go(rule.goto)
                return True
        return False

    def _go(self, screen: str) -> None:
        if screen != self._screen:
            self._before = [*self._before, self._screen][-_MOST_BACK:]
            self._show(screen)

    def _show(self, screen: str) -> None:
        self._screen, self._focus = screen, ""

    @property
    def _shown(self) -> Screen:
        return self._script.screens[self._screen]

    # -- what eyes see -----------------------------------------------------------------

    def _text_of(self, element: Element) -> str:
        typed = self._texts.get((self._screen, element.id)) if element.input else None
        return element.text if typed is None else typed

    async def tree(self, time_limit: float) -> str:
        package = self._app.package if self._app else "agentbay.scripted"
        root = ElementTree.Element("hierarchy", rotation="0")
        whole = {"index": "0", "class": "android.widget.FrameLayout", "clickable": "false"}
        bounds = f"[0,0][{self.width},{self.height}]"
        parent = ElementTree.SubElement(root, "node", {**whole, "bounds": bounds})
        for number, element in enumerate(self._shown.elements):
            left, top, right, bottom = element.bounds
            kind = "EditText" if element.input else "Button" if element.goto else "TextView"
            facts = {
                "index": str(number),
                "text": self._text_of(element),
                "resource-id": f"{package}:id/{element.id}" if element.id else "",
                "class": f"android.widget.{kind}",
                "package": package,
                "clickable": str(element.clickable or self._is_tapped(element)).lower(),
                "focused": str(bool(element.id) and element.id == self._focus).lower(),
                "bounds": f"[{left},{top}][{right},{bottom}]",
            }
            ElementTree.SubElement(parent, "node", facts)
        body = ElementTree.tostring(root, encoding="unicode")
        return f"<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>{body}"

    def _is_tapped(self, element: Element) -> bool:
        return bool(element.id) and any(rule.tap == element.id for rule in self._shown.rules)

    async def picture(self) -> bytes:
        # Not at the top: it needs Pillow.
        from .picture import Box, draw

        boxes = [
            Box(element.bounds, element.color, self._text_of(element), element.input)
            for element in self._shown.elements
        ]
        return await in_thread(draw, (self.width, self.height), self._shown.color, boxes)

    # -- applications ------------------------------------------------------------------

    async def apps(self, *, system: bool) -> list[InstalledApp]:
        return [
            InstalledApp(
                app.name,
                f"monkey -p {app.package} -c android.intent.category.LAUNCHER 1",
                f"am force-stop {app.package}",
            )
            for app in self._script.apps
        ]

    async def start(self, package: str, activity: str, command: str) -> list[Process]:
        if activity:
            raise ToolFailure("a scripted phone starts applications, and no activities of them")
        number, app = self._find(package)
        if app is not self._app:
            self._app, self._texts = app, {}
            self._go(app.screen)
        return [Process(package, _FIRST_PID + number, command)]

    async def stop(self, package: str) -> None:
        _, app = self._find(package)
        if app is self._app:
            self._app, self._texts, self._before = None, {}, []
            self._show(self._script.start)

    def _find(self, package: str) -> tuple[int, App]:
        for number, app in enumerate(self._script.apps):
            if app.package == package:
                return number, app
        known = ", ".join(app.package for app in self._script.apps) or "none at all"
        raise ToolFailure(f"the phone has no application {package}; it has {known}")

    # -- its shell ---------------------------------------------------------------------

    async def shell(self, command: str, time_limit: float) -> Said | None:
        """Carry out the few commands that there are: getprop, setprop, wm and pm."""
        try:
            words = list(shlex.shlex(command, posix=True, punctuation_chars=True))
        except ValueError as exc:
            return Said(2, "", f"sh: {exc}\n")
        match words:
            case ["getprop"]:
                lines = (f"[{name}]: [{value}]\n" for name, value in self._properties.items())
                return Said(0, "".join(lines))
            case ["getprop", name]:
                return Said(0, self._properties.get(name, "") + "\n")
            case ["setprop", name, value]:
                self._properties[name] = value
                return Said(0)
            case ["wm", "size"]:
                return Said(0, f"Physical size: {self.width}x{self.height}\n")
            case ["pm", "list", "packages"]:
                return Said(0, "".join(f"package:{app.package}\n" for app in self._script.apps))
            case _:
                reason = "a scripted phone has getprop, setprop, wm size and pm list packages only"
                return Said(_NOT_FOUND, "", f"sh: not found: {reason}\n")

    def address(self) -> str:
        raise ToolFailure("a scripted phone is no Android: adb cannot connect to it")


def _read(name: str) -> str:
    with Path(name).expanduser().open("rb") as file:
        return file.read(_LARGEST).decode()
