"""Programs of this machine that parts of the engine need."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable

import attrs

from ._chromium.program import find_chromium


@attrs.frozen
class Program:
    """Something that is installed besides the engine, or is not.

    Attributes:
        name: What it is called.
        purpose: What does not work without it.
        remedy: How it is installed.
        modules: The modules of requests that need it.
        find: Tells where it is; None when it is not there.
    """

    name: str
    purpose: str
    remedy: str
    modules: tuple[str, ...] = ()
    find: Callable[[], str | None] = attrs.field(kw_only=True, repr=False)


def program(name: str, purpose: str, remedy: str, *modules: str) -> Program:
    """A program of this name."""
    return Program(name, purpose, remedy, modules, find=lambda: shutil.which(name))


def package(name: str, purpose: str, remedy: str, *modules: str) -> Program:
    """A package of the Python that runs the engine."""

    def find() -> str | None:
        found = importlib.util.find_spec(name)
        return None if found is None else found.origin

    return Program(name, purpose, remedy, modules, find=find)


def chromium() -> str | None:
    """The program that browsers of sessions are."""
    found = find_chromium()
    return None if found is None else str(found)


_DESKTOP = ("application", "computer", "ui", "window")

PROGRAMS = (
    package("ipykernel", "code in Python", "pip install 'agentbay-sdk[local]'", "code"),
    program("node", "code in JavaScript", "install Node.js"),
    program("R", "code in R", "install R and its package IRkernel"),
    program("java", "code in Java", "install a JDK and a Jupyter kernel for Java"),
    Program(
        "chromium",
        "browsers",
        "install chromium",
        ("browser", "browser_operator"),
        find=chromium,
    ),
    program("Xvfb", "desktops", "install xvfb", *_DESKTOP),
    program("openbox", "the windows of desktops", "install openbox", *_DESKTOP),
    program("xdotool", "the mouse and the keyboard of desktops", "install xdotool", *_DESKTOP),
    program("wmctrl", "changing windows", "install wmctrl", "application", "window"),
    program("xprop", "finding windows", "install x11-utils", "application", "window"),
    package("PIL", "screenshots as JPEG, and scripted phones", "pip install pillow"),
    program(
        "adb",
        "mobile devices",
        "install adb, or name a scripted phone by AGENTBAY_LOCAL_PHONE",
        "mobile",
    ),
    program("git", "session.git", "install git"),
)


def lacking(module: str) -> Program | None:
    """The program that requests of a module need and that is not here."""
    needed = (program for program in PROGRAMS if module in program.modules)
    return next((program for program in needed if program.find() is None), None)
