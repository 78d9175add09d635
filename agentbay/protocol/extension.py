"""Extensions of the browser: what is known of one, and which a session is to get."""

from __future__ import annotations

import attrs

from ..errors import InvalidInputError
from ._calls import not_blank
from .browser import EXTENSIONS_BASE_PATH

__all__ = ["EXTENSIONS_BASE_PATH", "Extension", "ExtensionOption"]


@attrs.frozen
class Extension:
    """An extension that is kept in a context.

    Attributes:
        id: Name of its file in the context.
        name: Name of the file that it was made from; that in the context when it was listed.
        created_at: When it was uploaded, as the service writes it; None when just now.
    """

    id: str
    name: str
    created_at: str | None = None


def _ids(_: object, __: attrs.Attribute[list[str]], value: list[str]) -> None:
    if not value:
        raise InvalidInputError("extension_ids must not be empty: give at least one extension")


def _as_list(value: object) -> list[str]:
    # One text is a sequence of texts too, which is never meant.
    if not isinstance(value, list | tuple):
        raise InvalidInputError(f"extension_ids must be a list of texts, not {value!r:.80}")
    return [*value]


@attrs.define
class ExtensionOption:
    """Extensions of a context that the browser of a session gets.

    Attributes:
        context_id: The context that keeps them.
        extension_ids: Which of them.

    Raises:
        InvalidInputError: There is no context, or no extension.
    """

    context_id: str = attrs.field(validator=not_blank)
    extension_ids: list[str] = attrs.field(converter=_as_list, validator=_ids)

    def __str__(self) -> str:
        return f"{len(self.extension_ids)} extension(s) of context {self.context_id}"

    def validate(self) -> bool:
        """Tell whether every extension has a name that can be one."""
        return all(isinstance(item, str) and item.strip() for item in self.extension_ids)  # pyright: ignore[reportUnnecessaryIsInstance]
