"""Acting on the pages of a browser in natural language.

What takes long is a task: one tool starts it, and another one is asked for its result until
it is there. A result that is None is not there yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import attrs

from ..errors import InvalidInputError
from ._calls import Content, Tool, not_blank
from ._checks import WHOLE, a_flag, at_least
from ._wire import WireError, decode, from_json, named, shape, to_json

T = TypeVar("T")

_SCHEMA = "schema: "
_EDGES = ("x", "y", "width", "height")


# -- values ----------------------------------------------------------------------------


@attrs.frozen
class Task:
    """The task that a tool has started."""

    task_id: str = named(also=("taskId",), validator=not_blank)


@attrs.frozen
class ActState:
    """How far an action is, and what was done for it: a list, or a text."""

    is_done: bool = named(also=("isDone",), default=False)
    success: bool = False
    steps: Any = None


def _arguments(raw: Any) -> Any:
    """The arguments travel as JSON text; another text is an argument by itself."""
    if not isinstance(raw, str):
        return raw
    try:
        return from_json(raw)
    except WireError:
        return raw


@attrs.frozen
class ObserveResult:
    """Something on a page that can be used, and how.

    Attributes:
        selector: Where it is on the page.
        description: What it is.
        method: What can be done with it, such as ``click``.
        arguments: Arguments of the method, by name; what the service sent if it was no JSON.
    """

    selector: str = ""
    description: str = ""
    method: str = ""
    arguments: Any = named(read=_arguments, factory=dict[str, Any])

    def action(self) -> str:
        """The text that asks for just this; it holds all that the service needs to find it."""
        wanted = {"method": self.method, "arguments": self.arguments}
        return to_json({"selector": self.selector, **wanted} if self.selector else wanted)


# -- whole tools -----------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class _OnPage:
    """Which page a tool works on: the one in front when no page is named."""

    context_id: int = 0
    page_id: str | None = None


@attrs.frozen
class Navigate(Tool[str], tool="page_use_navigate"):
    """Open an address in the page in front; the answer is what the service says about it."""

    url: str = attrs.field(validator=not_blank)

    def read(self, text: str) -> str:
        return text

    def write(self, value: str) -> Content:
        return Content(value)


def _quality(_: object, __: attrs.Attribute[Any], value: int) -> None:
    if not 0 <= value <= 100:
        raise InvalidInputError(f"quality must be from 0 to 100, not {value}")


def _clip(_: object, __: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    edges = cast("Mapping[str, object]", value if isinstance(value, Mapping) else {})
    if set(edges) != set(_EDGES) or not all(map(_is_number, edges.values())):
        raise InvalidInputError(f"clip must be numbers for x, y, width and height, not {value!r}")


def _limit(_: object, __: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not (_is_number(value) and 0 < cast("float", value) < 1e9):
        raise InvalidInputError(f"timeout must be a positive number of seconds, not {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@attrs.frozen
class TakePicture(_OnPage, Tool[str], tool="page_use_screenshot"):
    """Take a picture of a page: a data URL, or the base64 that would be in one."""

    full_page: bool = attrs.field(default=True, validator=a_flag)
    quality: int = named(default=80, converter=WHOLE, validator=_quality)
    clip: dict[str, float] | None = attrs.field(default=None, validator=_clip)
    timeout: float | None = attrs.field(default=None, validator=_limit)

    def read(self, text: str) -> str:
        if not text.strip():
            raise WireError("expected a picture, not empty text")
        return text.strip()

    def write(self, value: str) -> Content:
        return Content(value)


@attrs.frozen
class CloseSession(Tool[None], tool="page_use_close_session"):
    """End the work on the pages."""


def _login_data(_: object, __: attrs.Attribute[Any], value: object) -> None:
    try:  # the text holds a key, which no error may show
        found = from_json(value) if isinstance(value, str) else None
    except WireError:
        found = None
    if not isinstance(found, dict):
        raise InvalidInputError(
            f"login_config must be the JSON text of an object, not {shape(value)}"
        )


@attrs.frozen
class Login(_OnPage, Tool[str], tool="page_use_login"):
    """Log in to a site; the answer is what the service says about it."""

    login_config: str = attrs.field(validator=_login_data, repr=False)
    use_vision: bool | None = None

    def read(self, text: str) -> str:
        return text

    def write(self, value: str) -> Content:
        return Content(value)


# -- tools that start a task -----------------------------------------------------------


@attrs.frozen(kw_only=True)
class _Traced(_OnPage):
    """A start that the service may note under a name of ours."""

    trace_id: str | None = None


@attrs.frozen
class Act(_Traced, Tool[Task], tool="page_use_act_async", returns=Task):
    """Start an action; its limit is in seconds, those of the first generation are not."""

    action: str = attrs.field(validator=not_blank)
    variables: dict[str, str] | None = attrs.field(default=None, repr=False)
    use_vision: bool | None = None
    timeout: int | None = None
    timeout_ms: int | None = None
    iframes: bool | None = None
    dom_settle_timeout_ms: int | None = None


@attrs.frozen
class Observe(_Traced, Tool[Task], tool="page_use_observe_async", returns=Task):
    """Start to look for what can be used on a page."""

    instruction: str = attrs.field(validator=not_blank)
    use_vision: bool | None = None
    selector: str | None = None
    iframes: bool | None = None
    dom_settle_timeout_ms: int | None = None


def _schema(raw: Any) -> Any:
    return from_json(raw.removeprefix(_SCHEMA)) if isinstance(raw, str) else raw


@attrs.frozen
class Extract(_Traced, Tool[Task], tool="page_use_extract_async", returns=Task):
    """Start to read data off a page; `schema` is the JSON schema of the data."""

    instruction: str = attrs.field(validator=not_blank)
    schema: dict[str, Any] = named("field_schema", read=_schema)
    use_text_extract: bool | None = None
    use_vision: bool | None = None
    selector: str | None = None
    iframe: bool | None = None
    dom_settle_timeout_ms: int | None = None
    max_page: int = named(default=1, converter=WHOLE, validator=at_least(1))

    def arguments(self) -> dict[str, Any]:
        return {
            **super().arguments(),
            "field_schema": _SCHEMA + json.dumps(self.schema, ensure_ascii=False),
        }


# -- tools that tell the result of a task ----------------------------------------------


def _there(text: str) -> Any:
    """What a reply holds; None for a task that has no result yet."""
    return from_json(text) if text.strip() else None


@attrs.frozen
class GetActResult(Tool[ActState | None], tool="page_use_get_act_result"):
    """Ask how an action ended."""

    task_id: str = attrs.field(validator=not_blank)

    def read(self, text: str) -> ActState | None:
        found = _there(text)
        state = None if found is None else decode(ActState, found)
        return state if state is not None and state.is_done else None


@attrs.frozen
class GetObserveResult(Tool[list[ObserveResult] | None], tool="page_use_get_observe_result"):
    """Ask what was found on a page."""

    task_id: str = attrs.field(validator=not_blank)

    def read(self, text: str) -> list[ObserveResult] | None:
        return read_found(_there(text))

    def write(self, value: list[ObserveResult] | None) -> Content:
        return Content("" if value is None else write_found(value))


@attrs.frozen
class ObserveAtOnce(_OnPage, Tool[list[ObserveResult]], tool="page_use_observe"):
    """Look for what can be used on a page, and wait; the first generation has no task for it."""

    instruction: str = attrs.field(validator=not_blank)
    use_vision: bool | None = None
    iframes: bool | None = None
    dom_settle_timeout_ms: int | None = None

    def read(self, text: str) -> list[ObserveResult]:
        return read_found(_there(text)) or []

    def write(self, value: list[ObserveResult]) -> Content:
        return Content(write_found(value))


@attrs.frozen
class GetExtractResult(Tool[Any], tool="page_use_get_extract_result"):
    """Ask for the data that was read off a page."""

    task_id: str = attrs.field(validator=not_blank)

    def read(self, text: str) -> Any:
        return _there(text)


def read_found(data: Any) -> list[ObserveResult] | None:
    """What was found on a page.

    Raises:
        WireError: The data has another shape.
    """
    return None if data is None else decode(list[ObserveResult], data)


def write_found(found: list[ObserveResult]) -> str:
    """The text that `read_found` is given the JSON value of."""
    return to_json([attrs.evolve(item, arguments=_as_text(item.arguments)) for item in found])


def _as_text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else to_json(arguments)
