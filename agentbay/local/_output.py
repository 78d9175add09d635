"""What a shell command gave, as text."""

from __future__ import annotations

import attrs

from ._errors import ToolFailure
from ._sandbox.guest_wire import Reply


@attrs.frozen
class CommandOutput:
    """How a command ended, and what it wrote.

    Attributes:
        stdout: The text; bytes that are not UTF-8 are replaced, and the middle is left out
            when there was too much.
        stderr: The same for the other stream.
        exit_code: None when a signal or the time limit ended the command.
        signal: The number of the signal, if one ended it.
        timed_out: It was ended because its time was up.
    """

    stdout: str
    stderr: str
    exit_code: int | None = None
    signal: int | None = None
    timed_out: bool = False


def command_output(reply: Reply) -> CommandOutput:
    """Read the reply of the guest's `shell` operation."""
    match reply.data:
        case {
            "stdout": {"head": int(out_head), "omitted": int(out_omitted), "tail": int(out_tail)},
            "stderr": {"head": int(err_head), "omitted": int(err_omitted), "tail": int(err_tail)},
            "exit_code": int() | None as exit_code,
            "signal": int() | None as signal,
            "timed_out": bool(timed_out),
        } if min(out_head, out_tail, err_head, err_tail, out_omitted, err_omitted) >= 0:
            middle = out_head + out_tail
            return CommandOutput(
                stdout=_text(reply.body[:middle], out_head, out_omitted),
                stderr=_text(
                    reply.body[middle : middle + err_head + err_tail], err_head, err_omitted
                ),
                exit_code=exit_code,
                signal=signal,
                timed_out=timed_out,
            )
        case _:
            raise ToolFailure("the session sent a reply that is not valid")


def _text(data: bytes, head: int, omitted: int) -> str:
    if not omitted:
        return data.decode(errors="replace")
    gap = f"\n[... {omitted} bytes omitted ...]\n"
    return data[:head].decode(errors="replace") + gap + data[head:].decode(errors="replace")
