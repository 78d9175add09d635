"""Moving a file or directory, also to another file system."""

from __future__ import annotations

import errno
import os

from .failure import Failure
from .file_contents import temporary_beside
from .system_calls import rename_exclusively


def move(source: str, destination: str) -> None:
    """Give a file or directory a new path, which must not exist yet."""
    # An error from here on is about the destination.
    os.lstat(source)
    try:
        rename_exclusively(source, destination)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        _copy_and_delete(source, destination)


def _copy_and_delete(source: str, destination: str) -> None:
    """Move between file systems; the destination appears whole or not at all."""
    if os.path.lexists(destination):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), destination)
    if _is_within(destination, source):
        raise Failure(f"{destination}: a directory cannot be moved into itself")
    temporary = temporary_beside(destination)
    try:
        _copy(source, temporary)
        rename_exclusively(temporary, destination)
    except BaseException:  # nothing half-copied stays, whatever stopped it
        _delete(temporary, complain=False)
        raise
    _delete(source, complain=True)


def _is_within(path: str, directory: str) -> bool:
    parent = os.path.realpath(os.path.dirname(path))
    return f"{parent}/".startswith(f"{os.path.realpath(directory)}/")


def _copy(source: str, destination: str) -> None:
    import shutil

    try:
        if os.path.isdir(source) and not os.path.islink(source):
            shutil.copytree(source, destination, symlinks=True)
        else:
            shutil.copy2(source, destination, follow_symlinks=False)
    except shutil.SpecialFileError as exc:
        raise Failure(f"{source}: a special file cannot move to another file system") from exc
    except shutil.Error as exc:
        # It holds one (source, destination, reason) for each file that failed.
        failed, _, reason = exc.args[0][0]
        raise Failure(f"{failed}: {reason}") from exc


def _delete(path: str, *, complain: bool) -> None:
    import shutil

    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=not complain)
    elif complain or os.path.lexists(path):
        os.unlink(path)
