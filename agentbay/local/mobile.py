"""The device of a mobile session: its screen, its applications and its shell.

What desktops have as well, such as `start_app`, is carried out here in a session with a device:
see `tools.py`.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ..protocol import application as apps
from ..protocol import computer, ui
from ..protocol import mobile as tools
from ..protocol._calls import Tool
from ..protocol._images import JPEG, PNG, Image
from ..protocol.application import InstalledApp, Process
from ..protocol.command import Shell, ShellReply
from ..protocol.session_details import GetAdbLink, LinkData
from ..protocol.ui import UIElement, UITree
from ._dispatch import handles, handles_on_phone
from ._errors import EngineError, ToolFailure
from ._phone.phones import Phone, phone_of, read_tree
from ._threads import in_thread
from .engine import Engine
from .sandbox import Sandbox

C = TypeVar("C", bound=Tool[Any])
T = TypeVar("T")
Handler = Callable[[Phone, C], Awaitable[T]]

# Milliseconds that a finger may take, and the largest number of a key.
_LONGEST_SWIPE, _LAST_KEY = 60_000, 1000
# Seconds that a look at the elements may take at least: a device needs more than one.
_LEAST = 10.0

_PACKAGE = re.compile(r"[A-Za-z_][\w.]{0,200}")
_START = "start_cmd must be `monkey -p PACKAGE 1` or the name of a package"
_STOP = "stop_cmd must be `am force-stop PACKAGE` or the name of a package"


def _on_phone(kind: type[C]) -> Callable[[Handler[C, T]], Handler[C, T]]:
    """Let a function carry out a tool call with the device of the session."""

    def register(func: Handler[C, T]) -> Handler[C, T]:
        @handles_on_phone(kind)
        async def carry_out(sandbox: Sandbox, call: C) -> T:
            return await func(phone_of(sandbox), call)

        return func

    return register


@_on_phone(tools.Tap)
async def tap(phone: Phone, call: tools.Tap) -> None:
    _check_on_screen(phone, call.x, call.y)
    await phone.tap(call.x, call.y)


@_on_phone(ui.Click)
async def click(phone: Phone, call: ui.Click) -> None:
    _check_on_screen(phone, call.x, call.y)
    await phone.tap(call.x, call.y)


@_on_phone(ui.Swipe)
async def swipe(phone: Phone, call: ui.Swipe) -> None:
    start, end = (call.start_x, call.start_y), (call.end_x, call.end_y)
    _check_on_screen(phone, *start)
    _check_on_screen(phone, *end)
    if call.duration_ms > _LONGEST_SWIPE:
        raise ToolFailure(f"duration_ms must be at most {_LONGEST_SWIPE}, not {call.duration_ms}")
    await phone.swipe(start, end, call.duration_ms)


@_on_phone(computer.InputText)
async def input_text(phone: Phone, call: computer.InputText) -> None:
    await phone.type(call.text)


@_on_phone(ui.SendKey)
async def send_key(phone: Phone, call: ui.SendKey) -> None:
    if call.key > _LAST_KEY:
        raise ToolFailure(f"Android has no key {call.key}")
    await phone.press(call.key)


@_on_phone(ui.GetClickableUIElements)
async def get_clickable_ui_elements(
    phone: Phone, call: ui.GetClickableUIElements
) -> list[UIElement]:
    return read_tree(await phone.tree(max(_LEAST, call.timeout_ms / 1000))).clickable


@_on_phone(ui.GetAllUIElements)
async def get_all_ui_elements(phone: Phone, call: ui.GetAllUIElements) -> UITree:
    text = await phone.tree(max(_LEAST, call.timeout_ms / 1000))
    if call.format == ui.XML:
        return UITree([], text, ui.XML)
    return UITree(read_tree(text).outermost)


@_on_phone(computer.GetScreenSize)
async def get_screen_size(phone: Phone, call: computer.GetScreenSize) -> computer.ScreenSize:
    return computer.ScreenSize(
        f'{{"dpiScalingFactor":1.0,"height":{phone.height},"width":{phone.width}}}'
    )


@_on_phone(computer.Screenshot)
async def screenshot(phone: Phone, call: computer.Screenshot) -> Image:
    data = await phone.picture()
    if call.format == JPEG:
        data = await in_thread(_jpeg, data)
    return Image("image", f"image/{call.format}", data, phone.width, phone.height)


@handles_on_phone(computer.SystemScreenshot)
async def system_screenshot(sandbox: Sandbox, call: computer.SystemScreenshot) -> str:
    return await sandbox.publish(await phone_of(sandbox).picture())


@_on_phone(apps.GetInstalledApps)
async def get_installed_apps(phone: Phone, call: apps.GetInstalledApps) -> list[InstalledApp]:
    return await phone.apps(system=not call.ignore_system_apps)


@_on_phone(apps.StartApp)
async def start_app(phone: Phone, call: apps.StartApp) -> list[Process]:
    words = _words(call.start_cmd, _START)
    match words:
        case ["monkey", "-p", package, *_]:
            pass
        case [package]:
            pass
        case _:
            raise ToolFailure(_START)
    activity = (call.activity or "").removeprefix(f"{package}/")
    for name in (package, activity.removeprefix(".") or package):
        _check_package(name, _START)
    return await phone.start(package, activity, call.start_cmd)


@_on_phone(apps.StopAppByCommand)
async def stop_app_by_cmd(phone: Phone, call: apps.StopAppByCommand) -> None:
    match _words(call.stop_cmd, _STOP):
        case ["am", "force-stop", package]:
            pass
        case [package]:
            pass
        case _:
            raise ToolFailure(_STOP)
    _check_package(package, _STOP)
    await phone.stop(package)


@_on_phone(Shell)
async def shell(phone: Phone, call: Shell) -> ShellReply:
    """Run a command on the device: its files and settings are those that it is about."""
    said = await phone.shell(call.command, call.timeout_ms / 1000)
    if said is None:
        return ShellReply(None, "", "")
    return ShellReply(said.exit_code, said.stdout, said.stderr)


@handles(GetAdbLink)
async def get_adb_link(engine: Engine, call: GetAdbLink) -> LinkData:
    return adb_link(engine.session(call.session_id).sandbox)


def adb_link(sandbox: Sandbox) -> LinkData:
    """The command that connects adb to the device of a session.

    Raises:
        EngineError: It has none.
        ToolFailure: The device cannot be reached like that.
    """
    phone = sandbox.phone
    if phone is None:
        raise EngineError(
            "InvalidImage", "the session has no mobile device: create one with mobile_latest"
        )
    return LinkData(phone.address())


def _words(command: str, problem: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as exc:
        raise ToolFailure(problem) from exc


def _check_package(name: str, problem: str) -> None:
    if not _PACKAGE.fullmatch(name):
        raise ToolFailure(problem)


def _check_on_screen(phone: Phone, x: int, y: int) -> None:
    if not (0 <= x < phone.width and 0 <= y < phone.height):
        raise ToolFailure(f"({x}, {y}) is not on the screen, which is {phone.width}x{phone.height}")


def _jpeg(png: bytes) -> bytes:
    try:
        import PIL.Image
    except ImportError as exc:
        raise ToolFailure("JPEG needs Pillow: `pip install pillow`, or ask for PNG") from exc
    written = io.BytesIO()
    with PIL.Image.open(io.BytesIO(png), formats=(PNG,)) as image:
        image.convert("RGB").save(written, JPEG, quality=90)
    return written.getvalue()
