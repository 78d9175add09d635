"""Programs of this machine that parts of the engine need."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable

import attrs


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


def program(name: str, purpose: str, remedy: str, *modules: str, names: str = "") -> Program:
    """A program that has one of these names."""

    def find() -> str | None:
        return next(filter(None, map(shutil.which, (names or name).split())), None)

    return Program(name, purpose, remedy, modules, find=find)


def package(name: str, purpose: str, remedy: str, *modules: str) -> Program:
    """A package of the Python that runs the engine."""

    def find() -> str | None:
        found = importlib.util.find_spec(name)
        return None if found is None else found.origin

    return Program(name, purpose, remedy, modules, find=find)


PROGRAMS = (
    package("ipykernel", "code in Python", "pip install 'agentbay-sdk[local]'", "code"),
    program("node", "code in JavaScript", "install Node.js"),
    program("R", "code in R", "install R and its package IRkernel"),
    program("java", "code in Java", "install a JDK and a Jupyter kernel for Java"),
    program(
        "chromium",
        "browsers",
        "install chromium",
        *("browser", "browser_operator"),
        names="chromium chromium-browser google-chrome google-chrome-stable chrome",
    ),
    program(
        "Xvfb",
        "desktops",
        "install xvfb",
        *("application", "computer", "ui", "window"),
    ),
    program("git", "session.git", "install git"),
)


def lacking(module: str) -> Program | None:
    """The program that requests of a module need and that is not here."""
    needed = (program for program in PROGRAMS if module in program.modules)
    return next((program for program in needed if program.find() is None), None)
