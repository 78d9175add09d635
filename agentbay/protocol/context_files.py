"""The files of a context: list and delete them, and get addresses to move them."""

from __future__ import annotations

from typing import Any

import attrs

from ..errors import InvalidInputError
from ._calls import Action, Paged, a_path, not_blank
from ._wire import Pascal, named


@attrs.frozen
class ContextFileEntry(Pascal):
    """One file or directory of a context.

    Attributes:
        file_id: Identifier, given by the service.
        file_name: Its name.
        file_path: Its path in the context.
        file_type: What it is, such as ``FILE``.
        gmt_create: When it appeared, as the service writes it.
        gmt_modified: When it last changed.
        size: Size in bytes.
        status: State, as the service names it.
    """

    file_id: str = ""
    file_name: str = ""
    file_path: str = ""
    file_type: str | None = None
    gmt_create: str | None = None
    gmt_modified: str | None = None
    size: int | None = None
    status: str | None = None


@attrs.frozen
class ContextFilePage(Pascal):
    """One page of the files of a context."""

    entries: list[ContextFileEntry]
    count: int | None = None
    next_token: str | None = None
    max_results: int | None = None


@attrs.frozen
class FileUrl(Pascal):
    """An address for one file, which holds its own credential, and until when it works."""

    url: str = attrs.field(repr=False)
    expire_time: int | None = None


def _positive(_: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInputError(f"{attribute.name} must be a positive integer, not {value!r:.80}")


@attrs.frozen(kw_only=True)
class ListContextFiles(
    Paged[ContextFilePage], action="DescribeContextFiles", returns=ContextFilePage
):
    """List a directory of a context: by the number of a page, or by the token of the next."""

    context_id: str = attrs.field(validator=not_blank)
    parent_folder_path: str
    page_number: int | None = attrs.field(default=None, validator=_positive)
    page_size: int | None = attrs.field(default=None, validator=_positive)
    max_results: int | None = named(query=True, default=None, validator=_positive)
    next_token: str | None = named(query=True, default=None)


@attrs.frozen
class DeleteContextFile(Action[None], action="DeleteContextFile"):
    """Delete a file of a context."""

    context_id: str = attrs.field(validator=not_blank)
    file_path: str = attrs.field(validator=a_path)


@attrs.frozen
class GetUploadUrl(Action[FileUrl], action="GetContextFileUploadUrl", returns=FileUrl):
    """Get the address to which a file of a context is put."""

    context_id: str = attrs.field(validator=not_blank)
    file_path: str = attrs.field(validator=a_path)


@attrs.frozen
class GetDownloadUrl(Action[FileUrl], action="GetContextFileDownloadUrl", returns=FileUrl):
    """Get the address from which a file of a context is fetched."""

    context_id: str = attrs.field(validator=not_blank)
    file_path: str = attrs.field(validator=a_path)
