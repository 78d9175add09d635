"""``agentbay``, or ``python -m agentbay.local``: the engine for other processes, and its care."""

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
    options = _parser().parse_args(_with_command(arguments))
    if sys.platform == "win32":
        return _fail("the local engine does not run on Windows: use WSL")
    try:
        code: int = options.run(options)
    except (AgentBayError, OSError) as exc:
        return _fail(str(exc))
    except ModuleNotFoundError as exc:
        return _fail(f"the local engine needs {exc.name!r}: pip install 'agentbay-sdk[local]'")
    except KeyboardInterrupt:
        return 130
    return code


def _with_command(arguments: Sequence[str] | None) -> list[str]:
    """The arguments; without a command they are those of `serve`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    known = ("serve", "local", "-h", "--help", "--version")
    return given if given and given[0] in known else ["serve", *given]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agentbay", description="The AgentBay API with sessions on this machine."
    )
    parser.add_argument("--version", action="version", version=f"agentbay {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_serve(commands.add_parser("serve", help="serve the API (so too without a command)"))
    _add_local(commands.add_parser("local", help="look at the engine of this machine, or clean up"))
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_serve)
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
        "--log-format",
        choices=["text", "json"],
        default="text",
        help="how the log on standard error is written (default: %(default)s)",
    )
    parser.add_argument(
        "--log-level",
        choices=["debug", "info", "warning", "error"],
        default="info",
        help="what is logged (default: %(default)s)",
    )
    _add_home(parser)


def _add_local(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="command")
    status = commands.add_parser("status", help="tell what is there and what works")
    reset = commands.add_parser("reset", help="delete all contexts")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    gc = commands.add_parser("gc", help="remove what nothing needs any more")
    parity = commands.add_parser("parity", help="list what the engine does, and what not")
    parity.add_argument("--markdown", action="store_true", help="print a table of Markdown")
    for name, command in {"status": status, "reset": reset, "gc": gc, "parity": parity}.items():
        command.set_defaults(run=_care, care=name)
        command.add_argument("--json", action="store_true", help="print JSON")
        if command is not parity:
            _add_home(command)


def _add_home(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--home", type=Path, help="where contexts are kept (default: AGENTBAY_LOCAL_HOME)"
    )


def _care(options: argparse.Namespace) -> int:
    from . import _care

    return _care.COMMANDS[options.care](options)


def _serve(options: argparse.Namespace) -> int:
    from ._logs import logging_to_stderr
    from .engine import EngineOptions
    from .server import serve

    given = options.api_key or os.environ.get("AGENTBAY_API_KEY", "").strip()
    api_key = given or f"akm-{secrets.token_hex(16)}"
    try:
        listener = socket.create_server((options.host, options.port))
    except (OSError, OverflowError) as exc:
        return _fail(f"cannot listen at {options.host}:{options.port}: {exc}")
    # asyncio does this for sockets that name their protocol only; each reply takes 44 ms without.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with listener, logging_to_stderr(options.log_format, options.log_level, secrets=(api_key,)):
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
