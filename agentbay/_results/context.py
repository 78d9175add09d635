"""The results of operations on contexts."""

from __future__ import annotations

from collections.abc import Generator
from typing import NoReturn, Self

import attrs

from ..protocol.bindings import ContextBinding
from ..protocol.context_files import ContextFileEntry
from ..protocol.contexts import Context, ContextStatusData
from .base import ApiResponse
from .sessions import OperationResult


@attrs.frozen(eq=False, repr=False)
class ContextResult(ApiResponse):
    """The result of finding or creating a context.

    Attributes:
        context_id: Its identifier; empty on failure.
        context: The context; None on failure.
    """

    context_id: str = ""
    context: Context | None = None

    def unwrap(self) -> Context:
        """Return the context, or raise what went wrong."""
        self._check()
        return self.context  # type: ignore[return-value]  # a success has its context


@attrs.frozen(eq=False, repr=False)
class ContextListResult(ApiResponse):
    """One page of a list of contexts.

    Attributes:
        contexts: The contexts.
        next_token: Where the next page begins; empty on the last one.
        max_results: How many entries a page may have.
        total_count: How many contexts there are in all.
    """

    contexts: list[Context] = attrs.field(factory=list[Context])
    next_token: str = ""
    max_results: int = 0
    total_count: int = 0

    def unwrap(self) -> list[Context]:
        """Return the contexts, or raise what went wrong."""
        self._check()
        return self.contexts


@attrs.frozen(eq=False, repr=False)
class ContextSyncResult(ApiResponse):
    """The result of bringing the contexts of a session up to date.

    Programs of the first generation await the `sync` of a blocking session, or hand it to
    `asyncio.run`; so a result can be awaited, and is a coroutine that has ended.
    """

    def __await__(self) -> Generator[None, None, Self]:
        yield from ()  # a generator, which ends at once with the result
        return self

    def send(self, value: object) -> NoReturn:
        """End at once, with the result; `asyncio.run` calls this."""
        raise StopIteration(self)

    def throw(self, *exc: BaseException) -> NoReturn:
        """Raise what a coroutine is told to raise."""
        raise exc[0]

    def close(self) -> None:
        """Do nothing: there is nothing that runs."""


@attrs.frozen(eq=False, repr=False)
class ContextInfoResult(ApiResponse):
    """The transfers between a session and its contexts."""

    context_status_data: list[ContextStatusData] = attrs.field(factory=list[ContextStatusData])

    def unwrap(self) -> list[ContextStatusData]:
        """Return the transfers, or raise what went wrong."""
        self._check()
        return self.context_status_data


@attrs.frozen(eq=False, repr=False)
class ContextBindResult(ApiResponse):
    """The result of giving contexts to a session that runs."""


@attrs.frozen(eq=False, repr=False)
class ContextBindingsResult(ApiResponse):
    """The contexts of a session."""

    bindings: list[ContextBinding] = attrs.field(factory=list[ContextBinding])

    def unwrap(self) -> list[ContextBinding]:
        """Return the contexts, or raise what went wrong."""
        self._check()
        return self.bindings


@attrs.frozen(eq=False, repr=False)
class FileUrlResult(ApiResponse):
    """An address for one file of a context.

    Attributes:
        url: The address, which holds its own credential.
        expire_time: Until when it works, in seconds since 1970 on the local engine; the cloud
            does not document its unit. None when the service does not tell.
    """

    url: str = attrs.field(default="", repr=False)
    expire_time: int | None = None

    def unwrap(self) -> str:
        """Return the address, or raise what went wrong."""
        self._check()
        return self.url


@attrs.frozen(eq=False, repr=False)
class ContextFileListResult(ApiResponse):
    """One page of the files of a context.

    Attributes:
        entries: The files and directories.
        count: How many there are in all; None when the service does not tell.
        next_token: Where the next page begins; None on the last one.
    """

    entries: list[ContextFileEntry] = attrs.field(factory=list[ContextFileEntry])
    count: int | None = None
    next_token: str | None = None

    def unwrap(self) -> list[ContextFileEntry]:
        """Return the files and directories, or raise what went wrong."""
        self._check()
        return self.entries


@attrs.frozen(eq=False, repr=False)
class ClearContextResult(OperationResult[None]):
    """How far the clearing of a context is.

    Attributes:
        status: State of the context: ``clearing``, or ``available`` when it is empty.
        context_id: Which context.
    """

    status: str | None = None
    context_id: str | None = None
