"""The outbound network of a sandbox that has a network namespace of its own.

A helper program of the system, `slirp4netns` or `pasta`, puts a virtual card into the namespace
and carries its traffic as ordinary sockets of the user. Neither needs root. The addresses are the
same with both: the sandbox is 10.0.2.100, its gateway 10.0.2.2, its name server 10.0.2.3. The
host's loopback stays out of reach; the host's other addresses are reachable like any machine's.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import anyio
import anyio.abc
import attrs

from .._errors import EngineError

_READY_LIMIT = 15.0
_END_LIMIT = 2.0
_TUN = "/dev/net/tun"
_NAME_SERVER = "10.0.2.3"

# _IO(0xb7, 0x1), which the standard library has no name for.
_NS_GET_USERNS = 0xB701

# Both scripts write one byte or more to their standard output when the network is ready, and end
# their helper when their standard input does. slirp4netns watches that by itself. pasta does not,
# so a shell waits for it; that shell gives up its own copy of the output first, because the end of
# the output is how a failed start shows.
_SLIRP = 'exec "$@" 3>&1 >/dev/null'
_PASTA = '"$@" </dev/null & exec >&-; read -r _; kill "$!"'


@attrs.frozen
class Helper:
    """A program that gives a network namespace a way out."""

    kind: Literal["slirp4netns", "pasta"]
    path: str


@functools.cache
def find_helper() -> Helper | None:
    """Find a helper that works for this user; None when there is none."""
    if not _tun_opens():
        return None
    if path := shutil.which("slirp4netns"):
        return Helper("slirp4netns", path)
    # Started by root, pasta gives up the right to open another process's namespace.
    if (path := shutil.which("pasta")) and os.geteuid() != 0:
        return Helper("pasta", path)
    return None


def missing() -> str:
    """Say why `find_helper` found nothing, and what to do about it."""
    if os.path.exists(_TUN) and not _tun_opens():
        reason = f"this user may not open {_TUN}: allow it"
    elif not os.path.exists(_TUN):
        reason = f"there is no {_TUN}: load the kernel module, or give the container the device"
    elif shutil.which("pasta"):
        reason = "pasta cannot be used by root: install slirp4netns"
    else:
        reason = "no helper program was found: install slirp4netns, or passt for its program pasta"
    return f"sandboxes have no outbound network, because {reason}; or choose network='host'"


def resolv_conf(helper: Helper | None) -> str:
    """Give the text of `/etc/resolv.conf` for a sandbox; without a helper it has no server."""
    return f"nameserver {_NAME_SERVER}\n" if helper else "# This session has no outbound network.\n"


async def attach(
    pid: int, *, helper: Helper, found: Callable[[], None] | None = None
) -> anyio.abc.Process:
    """Connect the network namespace of the process `pid`, and wait until the network is ready.

    Args:
        pid: The process. It may still be setting itself up; this waits for that. Hold it back
            with bubblewrap's ``--block-fd``.
        helper: The program to use.
        found: Called when the process need not be held back any more: the helper finds its
            namespace from then on, whatever it does. The network may not be ready yet.

    Returns:
        The running helper. It ends when its standard input does, hence together with this
        process, however that ends; `aclose` ends it in an orderly way.

    Raises:
        EngineError: ``NetworkUnavailable``, with what the helper said.
    """
    await _loopback(pid)
    with _namespaces(pid) as (network, userns):
        if helper.kind == "pasta":
            # It looks from within the session's user namespace, which sees nothing of ours.
            network = f"/proc/{pid}/ns/net"
        elif found is not None:
            found()
        process = await anyio.open_process(
            _command(helper, network, userns),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Nobody reads it later. A full pipe stops the helper of one session, and no other.
            stderr=subprocess.PIPE,
        )
        ready = False
        try:
            ready = await _ready(process)
            if ready:
                if helper.kind == "pasta" and found is not None:
                    found()
                return process
            problem = await _last_words(process)
        finally:
            if not ready:
                await _kill(process)
    raise _unavailable(f"{helper.kind} did not start: {problem}")


async def _loopback(pid: int) -> None:
    """Wait until the namespace has its loopback address.

    bubblewrap tells the process id first and adds that address later. The helpers switch the
    loopback card on, which adds it too, and bubblewrap gives up when it is there already.
    """
    try:
        with anyio.fail_after(_READY_LIMIT):
            while not _has_loopback(pid):  # noqa: ASYNC110 - the kernel tells nobody
                await anyio.sleep(0.001)
    except (OSError, TimeoutError) as exc:
        raise _unavailable(f"the session did not set up its network: {exc}") from exc


def _has_loopback(pid: int) -> bool:
    return "127.0.0.1" in Path(f"/proc/{pid}/net/fib_trie").read_text(encoding="ascii")


def _tun_opens() -> bool:
    try:
        # Opening the device creates nothing; a network card would need a further request.
        os.close(os.open(_TUN, os.O_RDWR))
    except OSError:
        return False
    return True


@contextmanager
def _namespaces(pid: int) -> Generator[tuple[str, str | None]]:
    """Paths to the network namespace of `pid`, and to its owner unless that is our own.

    The owner is a user namespace, but need not be the one that the process is in: bubblewrap
    nests a second one to forbid a third. So the kernel is asked, through the network namespace.
    """
    # Not at the top: it exists on Unix only.
    from fcntl import ioctl

    with ExitStack() as opened:
        try:
            network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
            opened.callback(os.close, network)
            owner = ioctl(network, _NS_GET_USERNS)
            opened.callback(os.close, owner)
        except OSError as exc:
            reason = f"the session's network namespace cannot be opened: {exc}"
            raise _unavailable(reason) from exc
        ours = os.path.samestat(os.fstat(owner), os.stat("/proc/self/ns/user"))
        # Not below the process: once it runs, an ordinary user may not look at it there.
        here = f"/proc/{os.getpid()}/fd"
        yield f"{here}/{network}", None if ours else f"{here}/{owner}"


def _unavailable(text: str) -> EngineError:
    return EngineError("NetworkUnavailable", text, status=503)


def _command(helper: Helper, network: str, userns: str | None) -> list[str]:
    if helper.kind == "slirp4netns":
        options = ["--configure", "--mtu=65520", "--disable-host-loopback", "--enable-seccomp"]
        # It needs a root user in the user namespace, which only the initial one is sure to have;
        # and only a helper that runs as root has rights to give up.
        options += [f"--userns-path={userns}"] if userns else ["--enable-sandbox"]
        options += ["--ready-fd=3", "--exit-fd=0", "--netns-type=path", network, "tap0"]
        return ["/bin/sh", "-c", _SLIRP, "sh", helper.path, *options]
    options = ["--foreground", "--quiet", "--config-net", "--ipv4-only", "--pid", "/dev/stdout"]
    options += ["--no-map-gw", "-t", "none", "-u", "none", "-T", "none", "-U", "none"]
    # Without an address of its own the sandbox would have the host's, and could not reach it.
    options += ["--address", "10.0.2.100", "--netmask", "24", "--gateway", "10.0.2.2"]
    options += ["--ns-ifname", "tap0", "--dns-forward", _NAME_SERVER]
    options += ["--userns", userns] if userns else ["--netns-only"]
    return ["/bin/sh", "-c", _PASTA, "sh", helper.path, *options, "--netns", network]


async def _ready(process: anyio.abc.Process) -> bool:
    assert process.stdout is not None
    with anyio.move_on_after(_READY_LIMIT):
        try:
            return bool(await process.stdout.receive())
        except anyio.EndOfStream:
            return False
    return False


async def _last_words(process: anyio.abc.Process) -> str:
    """What the helper wrote to its standard error, after it is stopped."""
    assert process.stderr is not None
    words = b""
    _stop(process)
    with anyio.move_on_after(_END_LIMIT):
        async for chunk in process.stderr:
            words = (words + chunk)[-2000:]
    text = words.decode(errors="replace").strip()
    return text or f"it was not ready after {_READY_LIMIT:.0f} seconds"


async def _kill(process: anyio.abc.Process) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(_END_LIMIT):
        _stop(process)
        await process.aclose()


def _stop(process: anyio.abc.Process) -> None:
    if process.returncode is None:
        process.kill()
