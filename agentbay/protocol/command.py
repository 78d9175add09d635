"""Shell commands."""

from __future__ import annotations

from typing import cast

import attrs

from ..errors import CommandError, CommandTimeoutError, InvalidInputError, ToolError
from ._calls import Content, Tool, failure_text, split_failure
from ._wire import Camel, WireError, decode, from_json, named, to_json

TIMED_OUT = -1
DEFAULT_TIMEOUT = 50.0


@attrs.frozen(eq=False, repr=False)
class ShellReply(Camel):
    """What a command left behind.

    `exit_code` is None when the command did not exit by itself: it was killed at its time
    limit, or it never ran.
    """

    exit_code: int | None = named("exit_code", default=None)
    stdout: str = ""
    stderr: str = ""
    trace_id: str = ""


def _command(_: object, __: attrs.Attribute[object], value: object) -> None:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise InvalidInputError(f"command must be text that is not blank, not {value!r:.80}")


def _directory(_: object, __: attrs.Attribute[object], value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value or "\0" in value):
        raise InvalidInputError(f"cwd must be the path of a directory, not {value!r:.80}")


def _limit(_: object, __: attrs.Attribute[object], value: int) -> None:
    if value <= 0:
        raise InvalidInputError(f"the time limit must be positive, not {value / 1000:g} s")


def _texts(_: object, attribute: attrs.Attribute[object], value: object) -> None:
    if value is None:
        return
    pairs = cast("dict[object, object]", value if isinstance(value, dict) else {"envs": value})
    wrong = [
        f"{k!r}: {v!r}" for k, v in pairs.items() if not (isinstance(k, str) and isinstance(v, str))
    ]
    if wrong:
        raise InvalidInputError(
            "Invalid environment variables: all keys and values must be strings. "
            f"Found invalid entries: {', '.join(wrong)}"
        )


@attrs.frozen(eq=False, repr=False)
class Shell(Tool[ShellReply], tool="shell", server="wuying_shell", error=CommandError):
    """Run a shell command and wait for it."""

    command: str = named(doc="The command line, as for sh -c.", validator=_command)
    timeout_ms: int = named(
        doc="Time limit in milliseconds; at it the command is killed.",
        default=50_000,
        validator=_limit,
    )
    cwd: str | None = named(
        doc="Working directory; the home directory by default.", default=None, validator=_directory
    )
    envs: dict[str, str] | None = named(
        doc="Environment variables for this command.", default=None, validator=_texts
    )

    def parse(self, content: Content) -> ShellReply:
        """Read the reply, in any of the shapes that services give it.

        The envelope of later services is a JSON object, also for commands that failed; the
        contract generation sends the output itself, and an error text.
        """
        reply = _envelope(content.text)
        if reply is None and not content.is_error:
            return ShellReply(0, content.text)
        if reply is None:
            reply = self._from_failure(content.text)
        if reply.exit_code == TIMED_OUT and content.is_error:
            raise self._timeout(reply)
        return reply

    def write(self, value: ShellReply) -> Content:
        """The envelope; one whose command ran into its time limit is an error."""
        if value.exit_code is not None:
            return Content(to_json(value))
        return Content(to_json({"errorCode": TIMED_OUT, **_streams(value)}), is_error=True)

    def write_plain(self, value: ShellReply) -> Content:
        """The same for clients of the contract generation: what the command printed."""
        if value.exit_code == 0:
            return Content(value.stdout)
        if value.exit_code is None:
            return Content(failure_text("[timeout]", TIMED_OUT), is_error=True)
        text = value.stderr or value.stdout
        return Content(failure_text(text, value.exit_code), is_error=True)

    def _from_failure(self, text: str) -> ShellReply:
        number, message = split_failure(text)
        if number == TIMED_OUT and "timeout" in message:
            return ShellReply(TIMED_OUT)
        if number is None or number < 0:
            raise self.failure(text)
        return ShellReply(number, "", message)

    def _timeout(self, reply: ShellReply) -> ToolError:
        return CommandTimeoutError(
            f"the command ran into its time limit of {self.timeout_ms / 1000:g} s and was killed",
            tool=self.tool,
            code=str(TIMED_OUT),
            stdout=reply.stdout,
            stderr=reply.stderr,
        )


def _streams(value: ShellReply) -> dict[str, str]:
    return {"stdout": value.stdout, "stderr": value.stderr, "traceId": value.trace_id}


@attrs.frozen(eq=False, repr=False)
class _Envelope(Camel):
    """The JSON form of a reply. A command may print an object too, so the shape decides."""

    exit_code: int | None = named("exit_code", also=("errorCode",), default=None)
    stdout: str | None = None
    stderr: str | None = None
    trace_id: str = ""


def _envelope(text: str) -> ShellReply | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = decode(_Envelope, from_json(text))
    except WireError:
        return None
    streams = (found.stdout is not None) + (found.stderr is not None)
    if streams == 2 or (streams == 1 and found.exit_code is not None):
        return ShellReply(
            found.exit_code or 0, found.stdout or "", found.stderr or "", found.trace_id
        )
    return None
