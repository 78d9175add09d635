"""The contexts of a session that runs: give it more, list them, find those of the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..errors import InvalidInputError
from ._calls import Action, Envelope, not_blank
from ._wire import Pascal, decode, named
from .contexts import PersistenceItem


@attrs.frozen
class ContextBinding(Pascal):
    """A context of a session.

    Attributes:
        context_id: Which context.
        context_name: Its name.
        path: Where in the session.
        policy: How it follows the session, as JSON text; empty when the default applies.
        bind_time: Since when, as the service writes it.
    """

    context_id: str = ""
    context_name: str = ""
    path: str = ""
    policy: str = ""
    bind_time: str = ""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read one from a reply of the service."""
        return decode(cls, data)


@attrs.frozen
class InternalContext(Pascal):
    """A context that the service keeps for a session, and where it is."""

    context_id: str
    context_path: str = ""
    context_type: str = ""


@attrs.frozen
class BindContexts(Action[None], action="BindContexts"):
    """Give contexts to a session that runs."""

    session_id: str = attrs.field(validator=not_blank)
    persistence_data_list: list[PersistenceItem] = named(json_text=True)


@attrs.frozen
class ListBindings(
    Action[list[ContextBinding]], action="DescribeSessionContexts", returns=list[ContextBinding]
):
    """List the contexts of a session."""

    session_id: str = attrs.field(validator=not_blank)

    def payload(self, reply: Envelope) -> Any:
        """The contexts; a session without any may come without data."""
        return super().payload(reply) or []


def _some_types(_: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    # An empty list leaves nothing in the request, which stands for the default.
    if not isinstance(value, list) or not value:
        raise InvalidInputError(f"{attribute.name} must be a list that is not empty")


@attrs.frozen
class LoadInternalContexts(
    Action[list[InternalContext]],
    action="GetAndLoadInternalContext",
    returns=list[InternalContext],
):
    """Find contexts that the service keeps for a session, and bring them into it."""

    session_id: str = attrs.field(validator=not_blank)
    context_types: list[str] = attrs.field(factory=lambda: ["file_transfer"], validator=_some_types)

    def payload(self, reply: Envelope) -> Any:
        """The contexts; there may be none."""
        return super().payload(reply) or []
