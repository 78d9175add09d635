"""Where Chromium is on this machine."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

from .._errors import EngineError

SETTING = "AGENTBAY_LOCAL_CHROMIUM"

# The programs themselves. What has their names in /usr/bin is a script that starts them, and
# that on Ubuntu one which needs snapd.
_CHROMIUM = (
    "/usr/lib/chromium/chromium",
    "/usr/lib64/chromium-browser/chromium-browser",
    "/usr/lib/chromium-browser/chromium-browser",
    "/usr/lib64/chromium/chromium",
)
_CHROME = ("/opt/google/chrome/chrome", "/opt/google/chrome-beta/chrome")
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

_INSTALL = "`apt-get install chromium`, or the package of that name of your system"

# Lies beside the program of every Chromium, and hardly anywhere else.
_DATA_FILE = "icudtl.dat"

# Seconds that a program may take to tell its version.
_VERSION_LIMIT = 20.0


def find_chromium(kind: str | None = None) -> Path | None:
    """The program of a browser on this machine, if there is one.

    Args:
        kind: ``chrome`` prefers Google Chrome to Chromium.
    """
    if named := os.environ.get(SETTING, "").strip():
        path = Path(named).expanduser()
        return path.resolve() if os.access(path, os.X_OK) and path.is_file() else None
    places = (*_CHROME, *_CHROMIUM) if kind == "chrome" else (*_CHROMIUM, *_CHROME)
    found = (Path(place) for place in (*places, *filter(None, map(shutil.which, _NAMES))))
    return next((path.resolve() for path in found if _is_program(path)), None)


def required_chromium(kind: str | None = None) -> Path:
    """The same, for those who need it.

    Raises:
        EngineError: There is none, or sessions cannot see it; says what helps.
    """
    path = find_chromium(kind)
    named = os.environ.get(SETTING, "").strip()
    if path is None and named:
        reason = f"{SETTING} is {named}, which is no program: set it to that of a Chromium"
    elif path is None:
        reason = f"there is no Chromium on this machine: {_INSTALL}, or set {SETTING} to its path"
    elif not _is_seen(path) and not _is_home(path.parent):
        reason = (
            f"sessions do not see {path}, whose directory is not that of a Chromium: {_INSTALL}"
        )
    else:
        return path
    raise EngineError("BrowserUnavailable", reason, status=503)


def chromium_directories() -> list[Path]:
    """Directories of this machine that sessions have to see for their browsers."""
    found = {find_chromium(), find_chromium("chrome")}
    return [path.parent for path in found if path and not _is_seen(path) and _is_home(path.parent)]


def version_of(program: Path) -> str:
    """The version, such as ``130.0.6723.58``.

    Raises:
        EngineError: The program does not tell.
    """
    return _version(program, program.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _version(program: Path, _changed: int) -> str:
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_VERSION_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        reason = f"{program} cannot be run: {exc}"
        raise EngineError("BrowserUnavailable", reason, status=503) from exc
    match = re.search(rb"\d+(\.\d+){3}", done.stdout)
    if match is None:
        reason = f"{program} --version tells no version: is it a Chromium?"
        raise EngineError("BrowserUnavailable", reason, status=503)
    return match[0].decode()


def _is_program(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF" and os.access(path, os.X_OK)
    except OSError:
        return False


def _is_seen(path: Path) -> bool:
    return path.is_relative_to("/usr")


def _is_home(directory: Path) -> bool:
    return (directory / _DATA_FILE).is_file()


def is_branded(program: Path) -> bool:
    """Whether this is Google Chrome, which does not load extensions from directories."""
    return any(str(program).startswith(os.path.dirname(place)) for place in _CHROME)
