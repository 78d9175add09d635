"""Files on their way between a session and a URL, or packed for that.

The work is done by a program of its own, which can be ended and has the limits of programs. Its
variables say what to do: a URL is a credential, and command lines can be read by others.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO
from urllib.parse import urlsplit

# Seconds that a server may stay silent.
_SILENCE = 60.0


def main() -> None:
    """Do what the variables say; a failure is one line on standard error."""
    action = os.environ["TRANSFER_ACTION"]
    path = os.path.join(os.environ["HOME"], os.environ["TRANSFER_PATH"])
    try:
        if action == "put":
            _put(os.environ["TRANSFER_URL"], path)
        elif action == "get":
            _get(os.environ["TRANSFER_URL"], path)
        else:
            packed = _packed(path) if os.path.isdir(path) else None
            sys.stdout.write(json.dumps({"packed": packed}) + "\n")
    # What the URL or the server does wrong must not show the URL.
    except (OSError, http.client.HTTPException, ValueError) as exc:
        sys.exit(_reason(exc))


def _put(url: str, path: str) -> None:
    with _content(path) as name, open(name, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        parts = urlsplit(url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(parts.hostname or "", parts.port, timeout=_SILENCE)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            # A signed URL is for one type of content or none, so none is told.
            connection.request("PUT", target, file, {"Content-Length": str(size)})
            reply = connection.getresponse()
            if reply.status >= 300:
                raise OSError(f"the server answered {reply.status} {reply.reason}")
        finally:
            connection.close()


def _get(url: str, path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with urllib.request.urlopen(url, timeout=_SILENCE) as reply, _replacing(path) as file:
        shutil.copyfileobj(reply, file, 1 << 20)
        if reply.length:
            raise OSError(f"the server left out {reply.length} bytes")


@contextmanager
def _replacing(path: str) -> Generator[IO[bytes], None, None]:
    """A file that takes the place of another one when it is complete."""
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), delete=False) as file:
        try:
            yield file
            file.flush()
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:  # nothing half-fetched stays, whatever stopped it
            os.unlink(file.name)
            raise


@contextmanager
def _content(path: str) -> Generator[str, None, None]:
    """The file to send: the path itself, or an archive of a directory, removed at the end."""
    if not os.path.isdir(path):
        yield path
        return
    packed = _packed(path)
    try:
        yield packed
    finally:
        os.unlink(packed)


def _packed(directory: str) -> str:
    """Make an archive of a directory; links in it are not followed."""
    with tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as file:
        archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False)
        try:
            with archive:
                for path in _members(directory):
                    archive.write(path, os.path.relpath(path, directory))
        except BaseException:  # nothing half-packed stays, whatever stopped it
            os.unlink(file.name)
            raise
    return file.name


def _members(directory: str) -> Iterator[str]:
    for parent, directories, names in os.walk(directory):
        for name in (*directories, *names):
            path = os.path.join(parent, name)
            # Pipes and devices have no content, and reading them may never end.
            if not os.path.islink(path) and (os.path.isdir(path) or os.path.isfile(path)):
                yield path


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        error = error.reason if isinstance(error.reason, Exception) else error
    if isinstance(error, OSError):
        return error.strerror or str(error.args[0] if error.args else type(error).__name__)
    return f"the URL or its server makes no sense ({type(error).__name__})"


if __name__ == "__main__":
    main()
