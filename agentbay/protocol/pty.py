"""Terminals: what a client asks for, and what a session tells without being asked."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

import attrs

from ..errors import InvalidInputError
from ._checks import WHOLE
from ._frames import Method
from ._wire import WireError, decode, encode, named

SERVER = "PTY_SERVER"

# What programs in a terminal find in their environment unless the caller says otherwise.
VARIABLES = {"TERM": "xterm-256color", "LANG": "en_US.UTF-8"}

_LARGEST = 500


# -- requests --------------------------------------------------------------------------


def _size(call: Any, _: attrs.Attribute[Any], __: int) -> None:
    if not (1 <= call.cols <= _LARGEST and 1 <= call.rows <= _LARGEST):
        raise InvalidInputError(
            f"Invalid terminal size: cols={call.cols}, rows={call.rows} (must be 1-{_LARGEST})"
        )


def _word(_: Any, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value or "\0" in value):
        raise InvalidInputError(f"{field.name} must be text that is not empty, not {value!r:.80}")


def _variables(_: Any, __: attrs.Attribute[Any], envs: object) -> None:
    if not isinstance(envs, Mapping):
        raise InvalidInputError(f"envs must be a dictionary of text, not {envs!r:.80}")
    for name, value in cast("Mapping[object, object]", envs).items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise InvalidInputError(f"{name!r:.80} is no name of a variable")
        if not isinstance(value, str) or "\0" in value:
            # The value stays out of the text: it may be a password.
            raise InvalidInputError(f"the variable {name!r:.80} must be text without NUL")


def _identifier(_: Any, __: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"the id of a terminal must be text, not {value!r:.80}")


def _id() -> Any:
    return named("ptySessionId", validator=_identifier)


@attrs.frozen
class PtyReference:
    """Which terminal."""

    pty_session_id: str = named("ptySessionId")


@attrs.frozen
class PtyReferences:
    """Which terminals."""

    pty_session_ids: list[str] = named("ptySessionIds", factory=list[str])


@attrs.frozen
class CreatePty(Method[PtyReference], method="pty.create", server=SERVER, returns=PtyReference):
    """Start a shell in a terminal."""

    cols: int = named(default=80, converter=WHOLE)
    rows: int = named(default=24, converter=WHOLE, validator=_size)
    cwd: str | None = attrs.field(default=None, validator=_word)
    envs: dict[str, str] = attrs.field(factory=lambda: dict(VARIABLES), validator=_variables)
    shell: str | None = attrs.field(default=None, validator=_word)

    def parse(self, result: Any) -> PtyReference:
        """Read the identifier of the terminal.

        Raises:
            WireError: There is none.
        """
        found = super().parse(result)
        if not found.pty_session_id.strip():
            raise WireError("the terminal has no identifier")
        return found


@attrs.frozen
class ListPtys(Method[PtyReferences], method="pty.list", server=SERVER, returns=PtyReferences):
    """Name the terminals that there are."""


@attrs.frozen
class ConnectPty(Method[PtyReference], method="pty.connect", server=SERVER, returns=PtyReference):
    """Ask for the output of a terminal that there is."""

    pty_session_id: str = _id()

    def parse(self, result: Any) -> PtyReference:
        """Read the identifier; the one that was asked for when the answer has none."""
        if not isinstance(result, Mapping):
            return PtyReference(self.pty_session_id)
        return decode(PtyReference, {"ptySessionId": self.pty_session_id, **result})


@attrs.frozen
class KillPty(Method[None], method="pty.kill", server=SERVER):
    """End a terminal, and what runs in it."""

    pty_session_id: str = _id()


@attrs.frozen
class ResizePty(Method[None], method="pty.resize", server=SERVER):
    """Change the size of a terminal. There is no answer."""

    pty_session_id: str = _id()
    cols: int = named(converter=WHOLE)
    rows: int = named(converter=WHOLE, validator=_size)


@attrs.frozen
class _Bytes:
    """Bytes as text: as what they say in UTF-8, else in base64."""

    pty_session_id: str = named("ptySessionId")
    encoding: str = "utf8"
    text: str = named("data", default="")

    @classmethod
    def of(cls, pty_session_id: str, content: bytes) -> Self:
        """Choose the encoding."""
        try:
            return cls(pty_session_id, "utf8", content.decode())
        except UnicodeDecodeError:
            return cls(pty_session_id, "base64", base64.b64encode(content).decode())

    @property
    def content(self) -> bytes:
        """The bytes.

        Raises:
            WireError: They cannot be told from the text.
        """
        if self.encoding == "base64":
            try:
                return base64.b64decode(self.text, validate=True)
            except (binascii.Error, ValueError):
                raise WireError("the data of a terminal is not base64") from None
        if self.encoding.lower() not in ("utf8", "utf-8"):
            raise WireError(f"a terminal has no encoding {self.encoding!r:.20}")
        return self.text.encode(errors="replace")


@attrs.frozen
class WritePty(_Bytes, Method[None], method="pty.input", server=SERVER):
    """Type into a terminal. There is no answer."""


# -- what the session tells without being asked ----------------------------------------


@attrs.frozen
class PtyOutput(_Bytes):
    """Something was written to a terminal."""

    event: ClassVar[str] = "pty.output"


@attrs.frozen
class PtyExit:
    """The shell of a terminal ended.

    Attributes:
        pty_session_id: Which terminal.
        exit_code: Exit status of the shell; -1 when it is not known.
    """

    event: ClassVar[str] = "pty.exit"
    pty_session_id: str = named("ptySessionId")
    exit_code: int = named("exitCode", default=-1)


def _text(raw: object) -> object:
    return raw if isinstance(raw, str) else json.dumps(raw)


@attrs.frozen
class PtyFailure:
    """A terminal broke."""

    event: ClassVar[str] = "pty.error"
    pty_session_id: str = named("ptySessionId")
    error: str = named(read=_text, default="")


PtyEvent = PtyOutput | PtyExit | PtyFailure

_EVENTS: dict[str, type[PtyOutput | PtyExit | PtyFailure]] = {
    kind.event: kind for kind in (PtyOutput, PtyExit, PtyFailure)
}


def read_event(data: Mapping[str, Any]) -> PtyEvent | None:
    """Read what was told; None when it is nothing about a terminal.

    Raises:
        WireError: It makes no sense.
    """
    kind = _EVENTS.get(str(data.get("eventType")))
    return None if kind is None else decode(kind, data)


def write_event(event: PtyEvent) -> dict[str, Any]:
    """What the engine sends to tell something. The inverse of `read_event`."""
    return {"eventType": event.event, **cast("dict[str, Any]", encode(event))}
