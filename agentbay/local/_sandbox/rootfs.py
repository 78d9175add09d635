"""The directory that is `/` in a session: made before the session, removed after it."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from .bwrap import HOME, shell

_DIRECTORIES = (
    "etc", "home", HOME[1:], "root", "opt", "srv", "mnt", "run", "var", "var/lib",
    "usr", "proc", "dev", "tmp", "var/tmp",
)  # fmt: skip
_SHARED = ("tmp", "var/tmp")


def prepare(
    root: Path,
    session_id: str,
    *,
    user: int,
    resolvers: str | None,
    mount_points: Sequence[Path],
    copies: Mapping[str, Path],
) -> None:
    """Fill the empty directory `root` with what a session expects to find.

    `resolvers` is the text of resolv.conf, the host's own if it is None. `copies` are
    directories of the host, by the path in the session at which it gets a copy. When the engine is
    root everything belongs to the session's `user`, who is not root.
    """
    root.chmod(0o755)
    for name in _DIRECTORIES:
        _make(f"{root}/{name}", 0o1777 if name in _SHARED else 0o755)
    # bubblewrap would make these for root alone. A directory sorts before what is in it.
    for parent in sorted({str(parent) for point in mount_points for parent in point.parents}):
        _make(f"{root}{parent}", 0o755)
    for name, text in _etc(session_id[:63], user, resolvers).items():
        (root / "etc" / name).write_text(text)
        (root / "etc" / name).chmod(0o644)
    for place, directory in copies.items():
        # Links are copied as links: what they lead to is that of the session.
        shutil.copytree(directory, root / place.lstrip("/"), symlinks=True)
    if os.geteuid() == 0:
        _give_away(root, user)


def _make(directory: str, mode: int) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory)
        # Said again because the engine's umask may be strict.
        os.chmod(directory, mode)


def _give_away(root: Path, user: int) -> None:
    """Let everything belong to the session's user."""
    os.chown(root, user, user)
    for parent, directories, files in os.walk(root):
        for name in (*directories, *files):
            os.chown(f"{parent}/{name}", user, user, follow_symlinks=False)


def _etc(host: str, user: int, resolvers: str | None) -> dict[str, str]:
    entry = f"wuying:x:{user}"
    return {
        "passwd": f"root:x:0:0:root:/root:/bin/sh\n{entry}:{user}::{HOME}:{shell()}\n",
        "group": f"root:x:0:\n{entry}:\n",
        "hosts": f"127.0.0.1 localhost {host}\n::1 localhost\n",
        "hostname": f"{host}\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "resolv.conf": _host_resolvers() if resolvers is None else resolvers,
    }


def _host_resolvers() -> str:
    try:
        return Path("/etc/resolv.conf").read_text(errors="replace")
    except OSError:
        return ""


def remove(directory: Path) -> None:
    """Remove a directory that nothing uses any more, whatever a session left in it.

    The tree may be deeper than any path is long and may forbid its owner to enter. So only one
    directory is looked into at a time, and its subdirectories move up to the top.
    """
    try:
        top = _enter(str(directory))
    except FileNotFoundError:
        return
    try:
        moved = 0
        while names := _listed(top):
            for name in names:
                moved = _remove_entry(top, name, moved)
    finally:
        os.close(top)
    directory.rmdir()


def _remove_entry(top: int, name: str, moved: int) -> int:
    """Remove one entry, or move what is below it to `top`; returns how many moved so far."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=top)
        return moved
    below = _enter(name, dir_fd=top)
    try:
        for entry in os.listdir(below):
            if not stat.S_ISDIR(os.stat(entry, dir_fd=below, follow_symlinks=False).st_mode):
                os.unlink(entry, dir_fd=below)
                continue
            # Moving a directory changes its `..`, which takes the right to write into it.
            os.chmod(entry, 0o700, dir_fd=below)
            moved = _free_name(top, moved)
            os.rename(entry, _moved_name(moved), src_dir_fd=below, dst_dir_fd=top)
    finally:
        os.close(below)
    os.rmdir(name, dir_fd=top)
    return moved


def _listed(directory: int) -> list[str]:
    # Opened anew: on btrfs a descriptor shows no name that came after it was listed last.
    again = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        return os.listdir(again)
    finally:
        os.close(again)


def _enter(name: str, dir_fd: int | None = None) -> int:
    os.chmod(name, 0o700, dir_fd=dir_fd)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=dir_fd)


def _free_name(top: int, moved: int) -> int:
    moved += 1
    while True:
        try:
            os.stat(_moved_name(moved), dir_fd=top, follow_symlinks=False)
        except FileNotFoundError:
            return moved
        moved += 1


def _moved_name(number: int) -> str:
    return f".moved-{number}"
