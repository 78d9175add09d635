"""``agentbay serve``, or ``python -m agentbay.local``: the engine for other processes."""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio

from .._version import __version__
from ..errors import AgentBayError

_DEFAULT_PORT = 8765


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _serve(options)
    except AgentBayError as exc:
        return _fail(str(exc))
    except ModuleNotFoundError as exc:
        return _fail(f"the local engine needs {exc.name!r}: pip install 'agentbay-sdk[local]'")
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agentbay", description="Serve the AgentBay API with sessions on this machine."
    )
    parser.add_argument("--version", action="version", version=f"agentbay {__version__}")
    parser.add_argument("command", nargs="?", choices=["serve"], default="serve")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at (default: %(default)s, this machine only)",
    )
    parser.add_argument(
        "--port", type=int, default=_DEFAULT_PORT, help="port; 0 takes a free one (%(default)s)"
    )
    parser.add_argument(
        "--api-key",
        help="key that requests must carry (default: AGENTBAY_API_KEY, else a random one)",
    )
    parser.add_argument(
        "--home", type=Path, help="where contexts are kept (default: AGENTBAY_LOCAL_HOME)"
    )
    return parser


def _serve(options: argparse.Namespace) -> int:
    if sys.platform == "win32":
        return _fail("the local engine does not run on Windows: use WSL")
    from .engine import EngineOptions
    from .host import serve

    given = options.api_key or os.environ.get("AGENTBAY_API_KEY", "").strip()
    api_key = given or f"akm-{secrets.token_hex(16)}"
    try:
        listener = socket.create_server((options.host, options.port))
    except (OSError, OverflowError) as exc:
        return _fail(f"cannot listen at {options.host}:{options.port}: {exc}")
    with listener:
        home = options.home.absolute() if options.home else None
        engine = EngineOptions.from_environment(home=home, link_host=options.host)
        _greet(f"http://{options.host}:{listener.getsockname()[1]}", "" if given else api_key)
        anyio.run(serve, engine, listener, api_key)
    return 0


def _greet(url: str, new_key: str) -> None:
    lines = [f"agentbay {__version__} serves sessions on this machine at {url}"]
    if new_key:
        lines += [
            "To use it from another terminal:",
            f"  export AGENTBAY_ENDPOINT={url} AGENTBAY_API_KEY={new_key}",
        ]
    else:
        lines += [f"To use it, with the key it was given: export AGENTBAY_ENDPOINT={url}"]
    print("\n".join(lines), flush=True)  # noqa: T201 - this is the program's output


def _fail(message: str) -> int:
    sys.stderr.write(f"agentbay: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
