"""What the operator of a browser is asked for.

The order of the values is today's. Those that only the first generation has are keywords.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, cast

import attrs

from .._value import Value
from ..errors import BrowserError, InvalidInputError
from ..protocol._wire import shape
from ..protocol.browser_operator import Act, Extract, Observe, ObserveAtOnce
from . import not_blank

if TYPE_CHECKING:
    # A type checker knows the module without its being installed. What a plain JSON schema
    # describes is taken for an object.
    from typing_extensions import TypeVar

    T = TypeVar("T", default=dict[str, Any])
else:
    from typing import TypeVar

    T = TypeVar("T")

# Seconds for a task, by default.
LIMIT = 300.0


def _maybe(
    kind: type[Any] | tuple[type[Any], ...], name: str
) -> Callable[[object, Any, object], None]:
    """An attrs validator: a value of some type, or None; no bool is taken for a number."""

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        good = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if value is not None and not good:
            raise InvalidInputError(f"{attribute.name} must be {name}, not {value!r:.80}")

    return check


def _positive(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e9:
        raise InvalidInputError(f"{attribute.name} must be a positive number, not {value!r:.80}")


def _variables(_: object, __: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    pairs = cast("Mapping[object, object]", value) if isinstance(value, Mapping) else None
    if pairs is None or not all(isinstance(text, str) for pair in pairs.items() for text in pair):
        # Values are often passwords, so they are not shown.
        raise InvalidInputError(f"variables must be a dictionary of text, not {shape(value)}")


def _flag(**options: Any) -> Any:
    return attrs.field(default=None, validator=_maybe(bool, "True or False"), **options)


def _text() -> Any:
    return attrs.field(default=None, validator=_maybe(str, "text"))


def _milliseconds() -> Any:
    check = [_maybe(int, "a whole number"), _positive]
    return attrs.field(default=None, validator=check, kw_only=True)


@attrs.define(eq=False, repr=False)
class ActOptions(Value):
    """An action on a page.

    Attributes:
        action: What to do, in plain words.
        variables: Texts that the action may name, such as passwords. They are not shown.
        use_vision: Let the service look at the page, not only read it.
        timeout: Seconds for all of it; 300 by default.
        timeoutMS: The same in milliseconds.
        iframes: Act inside of embedded pages, too.
        dom_settle_timeout_ms: Milliseconds for the page to come to rest.
    """

    action: str = attrs.field(validator=not_blank)
    variables: Mapping[str, str] | None = attrs.field(
        default=None, validator=_variables, repr=False
    )
    use_vision: bool | None = _flag()
    timeout: float | None = attrs.field(default=None, validator=_positive)
    timeoutMS: int | None = _milliseconds()  # noqa: N815 - the name that older programs use
    iframes: bool | None = _flag(kw_only=True)
    dom_settle_timeout_ms: int | None = _milliseconds()

    def __attrs_post_init__(self) -> None:
        if self.timeout is not None and self.timeoutMS is not None:
            raise InvalidInputError("give the time limit once: timeout= (seconds)")

    @property
    def limit(self) -> float:
        """Seconds for all of it."""
        return self.timeoutMS / 1000 if self.timeoutMS else self.timeout or LIMIT

    def call(self) -> Act:
        """The call that starts it, on no page in particular."""
        return Act(
            self.action,
            None if self.variables is None else dict(self.variables),
            self.use_vision,
            None if self.timeout is None else math.ceil(self.timeout),
            self.timeoutMS,
            self.iframes,
            self.dom_settle_timeout_ms,
        )


@attrs.define(eq=False, repr=False)
class ObserveOptions(Value):
    """What to look for on a page.

    Attributes:
        instruction: What to find, in plain words.
        use_vision: Let the service look at the page, not only read it.
        selector: Look in this part of the page only.
        timeout: Seconds for all of it; 300 by default.
        iframes: Look inside of embedded pages, too.
        dom_settle_timeout_ms: Milliseconds for the page to come to rest.
    """

    instruction: str = attrs.field(validator=not_blank)
    use_vision: bool | None = _flag()
    selector: str | None = _text()
    timeout: float | None = attrs.field(default=None, validator=_positive)
    iframes: bool | None = _flag(kw_only=True)
    dom_settle_timeout_ms: int | None = _milliseconds()

    @property
    def limit(self) -> float:
        """Seconds for all of it."""
        return self.timeout or LIMIT

    def call(self) -> Observe:
        """The call that starts it, on no page in particular."""
        return Observe(
            self.instruction,
            self.use_vision,
            self.selector,
            self.iframes,
            self.dom_settle_timeout_ms,
        )

    def call_at_once(self) -> ObserveAtOnce:
        """The call that does all of it, for services that have no task for it."""
        return ObserveAtOnce(
            self.instruction, self.use_vision, self.iframes, self.dom_settle_timeout_ms
        )


def _shape_of_data(_: object, __: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, type):
        if all(callable(getattr(value, name, None)) for name in _MODEL):
            return
        raise InvalidInputError(f"schema: {value.__name__} is no model class of pydantic 2")
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"schema must be a model class or a JSON schema, not {value!r:.80}")
    try:
        json.dumps(dict(cast("Mapping[str, Any]", value)))
    except (TypeError, ValueError) as exc:
        raise InvalidInputError(f"schema is not JSON: {exc}") from exc


_MODEL = ("model_json_schema", "model_validate")


@attrs.define(eq=False, repr=False)
class ExtractOptions(Value, Generic[T]):
    """Data to read off a page.

    Attributes:
        instruction: What to read, in plain words.
        schema: The shape of the data: a model class of pydantic, of which an object is made,
            or a JSON schema.
        use_text_extract: Read the text of the page rather than its structure.
        use_vision: Let the service look at the page, not only read it.
        selector: Read this part of the page only.
        timeout: Seconds for all of it; 300 by default.
        max_page: How many pages to read, where one leads to the next.
        iframe: Read embedded pages, too.
        dom_settle_timeout_ms: Milliseconds for the page to come to rest.
    """

    instruction: str = attrs.field(validator=not_blank)
    schema: type[T] | Mapping[str, Any] = attrs.field(validator=_shape_of_data)
    use_text_extract: bool | None = _flag()
    use_vision: bool | None = _flag()
    selector: str | None = _text()
    timeout: float | None = attrs.field(default=None, validator=_positive)
    max_page: int | None = attrs.field(
        default=1, validator=[_maybe(int, "a whole number"), _positive]
    )
    iframe: bool | None = _flag(kw_only=True)
    dom_settle_timeout_ms: int | None = _milliseconds()

    @property
    def limit(self) -> float:
        """Seconds for all of it."""
        return self.timeout or LIMIT

    def call(self) -> Extract:
        """The call that starts it, on no page in particular."""
        return Extract(
            self.instruction,
            self._json_schema(),
            self.use_text_extract,
            self.use_vision,
            self.selector,
            self.iframe,
            self.dom_settle_timeout_ms,
            self.max_page or 1,
        )

    def made_of(self, data: Any) -> T:
        """What the caller wants of the data that was read.

        Raises:
            BrowserError: It does not fit the model. The text of the cause shows the data.
        """
        if isinstance(self.schema, Mapping):
            return cast("T", data)
        model = cast("Any", self.schema)
        try:
            return cast("T", model.model_validate(data))
        except ValueError as exc:  # what pydantic raises is one
            reason = f"the data that was read does not fit {model.__name__}"
            raise BrowserError(reason) from exc

    def _json_schema(self) -> dict[str, Any]:
        if isinstance(self.schema, Mapping):
            return dict(self.schema)
        return cast("dict[str, Any]", cast("Any", self.schema).model_json_schema())
