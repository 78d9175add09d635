"""The account: create, find, list and end sessions."""

from __future__ import annotations

import builtins
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio

from .. import _left_over as left_over
from .._config import Config, resolve
from .._deadline import Deadline, cleaning_up
from .._deferred import Deferred, hint
from .._live import Live
from .._params import ContextSync, CreateSessionParams
from .._results.base import reported
from .._results.sessions import DeleteResult, SessionId, SessionListResult, SessionResult
from .._slots import Slots
from ..errors import AgentBayError, InvalidInputError, RequestTimeoutError
from ..protocol._checks import check_labels
from .session import AsyncSession

if TYPE_CHECKING:
    import httpx

    from .. import _transport as transports
    from .._params.listing import ListSessionParams
    from .._results.lifecycle import SessionPauseResult, SessionResumeResult
    from .._results.session_data import GetSessionResult
    from .._retry import RetryPolicy
    from .._transport import ApiClient, Reply
    from ..protocol import session_details as details
    from ..protocol import sessions as actions
    from . import _account_calls as account_calls
    from . import _clean_ups as clean_ups
    from . import _creating as creating
    from . import _creation as creation
    from . import lifecycle
    from .beta import AsyncBetaNamespace
    from .context import AsyncContextService
    from .network import AsyncBetaNetworkService
    from .skills import AsyncBetaSkillsService
else:
    actions = Deferred("agentbay.protocol.sessions")
    details = Deferred("agentbay.protocol.session_details")
    transports = Deferred("agentbay._transport")
    ApiClient = hint("agentbay._transport", "ApiClient")
    account_calls = Deferred("agentbay._async._account_calls")
    clean_ups = Deferred("agentbay._async._clean_ups")
    creating = Deferred("agentbay._async._creating")
    creation = Deferred("agentbay._async._creation")
    lifecycle = Deferred("agentbay._async.lifecycle")
    httpx = Deferred("httpx")
    RetryPolicy = hint("agentbay._retry", "RetryPolicy")
    ListSessionParams = hint("agentbay._params.listing", "ListSessionParams")
    SessionPauseResult = hint("agentbay._results.lifecycle", "SessionPauseResult")
    SessionResumeResult = hint("agentbay._results.lifecycle", "SessionResumeResult")
    GetSessionResult = hint("agentbay._results.session_data", "GetSessionResult")

# Seconds for the contexts of a new session to arrive, and for cleaning up after a failure.
_CONTEXT_LIMIT = 180.0
_CLEAN_UP_LIMIT = 30.0
# Seconds that `create` waits for one of `max_sessions` places.
_QUEUE_LIMIT = 600.0


class AsyncAgentBay(Live):
    """A client for one AgentBay account, or for the local engine.

    It can be used from several event loops, one after the other or at once. Methods that return
    a result tell a failure in it, and `unwrap` raises it; the others say what they raise.

    Args:
        api_key: Key of the account; ``AGENTBAY_API_KEY`` by default. The local engine needs
            none.
        cfg: Further settings, kept together.
        env_file: A file of settings; by default the first ``.env`` found from the working
            directory upwards.
        endpoint: Host or URL of the service, or ``"local"`` for the engine inside this
            process; ``AGENTBAY_ENDPOINT`` by default.
        region_id: Region of the service; ``AGENTBAY_REGION_ID`` by default.
        timeout: Seconds until a request is given up, all of its attempts together;
            ``AGENTBAY_TIMEOUT_MS``, or else 60 seconds, by default.
        transport: Carries the requests instead of a network connection, as in `httpx`.
        proxy: URL of a proxy; that of the environment by default.
        verify: False, or an SSL context, to check certificates in another way.
        retry: How often failed requests are sent again, of those that do no harm twice.
        tracing: Make a span of OpenTelemetry for each call, with the provider that the program
            has set up; needs the extra ``otel``.
        owner: A name for whoever creates sessions with this client. They carry it as a label,
            and `reap` finds by it what an earlier run of the same program left behind.
        max_sessions: How many sessions this client has at once, 1 or more; `create` waits while
            there are so many, up to 10 minutes. Any number by default.

    Raises:
        ConfigError: A setting is missing or makes no sense; also a `ValueError`.

    Example:
        ```python
        async with AsyncAgentBay(endpoint="local") as bay:
            async with bay.session() as session:
                print((await session.command.run("echo hello")).output)
        ```
    """

    _instead = (
        "a client cannot be copied or pickled: make another one, with the same arguments, where "
        "it is needed"
    )

    def __init__(
        self,
        api_key: str = "",
        cfg: Config | None = None,
        env_file: str | os.PathLike[str] | None = None,
        *,
        endpoint: str | None = None,
        region_id: str | None = None,
        timeout: float | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        proxy: str | None = None,
        verify: bool | ssl.SSLContext = True,
        retry: RetryPolicy | None = None,
        tracing: bool = False,
        owner: str = "",
        max_sessions: int | None = None,
    ) -> None:
        self._settings = resolve(
            api_key, cfg, env_file, endpoint=endpoint, region_id=region_id, timeout=timeout
        )
        self._client = transports.ApiClient(
            self._settings,
            transport=transport,
            proxy=proxy,
            verify=verify,
            retry=retry,
            tracing=tracing,
        )
        if not isinstance(owner, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"owner must be text, not {owner!r:.80}")
        self._owner = owner
        if max_sessions is not None:
            _positive("max_sessions", max_sessions, 1)
        self._slots = Slots(max_sessions)
        self._clean_ups = clean_ups.CleanUps()
        # Sessions that were created here, each of which has a place in `_slots`.
        self._created: set[str] = set()

    def __repr__(self) -> str:
        return f"AsyncAgentBay(endpoint={self._settings.endpoint!r})"

    @property
    def api_key(self) -> str:
        """The key of the account; empty when none was given."""
        return self._settings.api_key

    @property
    def region_id(self) -> str:
        """The region that the service is told."""
        return self._settings.region_id

    @property
    def endpoint(self) -> str:
        """Where requests go: a URL, or ``local``."""
        return self._settings.endpoint

    @property
    def client(self) -> ApiClient:
        """The HTTP client."""
        return self._client

    @cached_property
    def context(self) -> AsyncContextService:
        """Storage that outlives sessions."""
        from .context import AsyncContextService

        return AsyncContextService(self)

    @cached_property
    def beta_network(self) -> AsyncBetaNetworkService:
        """Networks that sessions can join."""
        from .network import AsyncBetaNetworkService

        return AsyncBetaNetworkService(self)

    @cached_property
    def beta_skills(self) -> AsyncBetaSkillsService:
        """Skills that sessions can be given."""
        from .skills import AsyncBetaSkillsService

        return AsyncBetaSkillsService(self)

    @cached_property
    def beta(self) -> AsyncBetaNamespace:
        """The same as `beta_skills` and `beta_network`, under other names."""
        from .beta import AsyncBetaNamespace

        return AsyncBetaNamespace(self)

    @reported(SessionResult[AsyncSession])
    async def create(
        self, params: CreateSessionParams | None = None
    ) -> SessionResult[AsyncSession]:
        """Create a session.

        When the session's contexts cannot be brought into it within 3 minutes, the session is
        deleted again and the result says why. A call that is cancelled or out of time goes on
        at once: its session is deleted in the background, and `aclose` waits for that. A
        request whose reply was lost is not simply sent again: a label of its own, which
        `get_labels` leaves out, tells whether there is a session already.

        Args:
            params: What the session is asked to be.

        Example:
            ```python
            params = CreateSessionParams(labels={"project": "demo"})
            session = (await bay.create(params)).unwrap()
            ```
        """
        wanted = CreateSessionParams() if params is None else params
        if not isinstance(wanted, CreateSessionParams):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"params must be CreateSessionParams, not {wanted!r:.80}")
        reply = await self._create(creation.create_request(wanted, self.region_id))
        return SessionResult(reply.request_id, True, await self._made(reply.value, wanted))

    @asynccontextmanager
    async def session(
        self, params: CreateSessionParams | None = None, *, sync_context: bool = False
    ) -> AsyncGenerator[AsyncSession, None]:
        """A session for the length of a block; it is always deleted at the end.

        Args:
            params: What the session is asked to be.
            sync_context: Upload the session's contexts before it is deleted.

        Raises:
            AgentBayError: The session could not be created, or could not be deleted.

        Example:
            ```python
            async with bay.session() as session:
                await session.file_system.write_file("/tmp/a.txt", "hello")
            ```
        """
        session = (await self.create(params)).unwrap()
        try:
            yield session
        finally:
            result = await self._end(session, sync_context)
        result.unwrap()
        if result.sync_error is not None:
            raise result.sync_error

    @reported(SessionResult[AsyncSession])
    async def get(self, session_id: str) -> SessionResult[AsyncSession]:
        """Find a session that exists, by its identifier."""
        reply = await self._client.send(actions.GetSession(session_id))
        session = AsyncSession(self, session_id)
        session._adopt(reply.value)
        return SessionResult(reply.request_id, True, session)

    async def delete(self, session: AsyncSession, sync_context: bool = False) -> DeleteResult:
        """End a session; see `AsyncSession.delete`."""
        return await lifecycle.end(session, sync_context)

    async def list_all(
        self,
        labels: Mapping[str, str] | None = None,
        *,
        status: str | None = None,
        image_id: str | None = None,
    ) -> AsyncIterator[SessionId]:
        """Go through all sessions that match, page after page.

        Args:
            labels: Only sessions with all of these labels.
            status: Only sessions in this state, such as ``"RUNNING"``.
            image_id: Only sessions of this image.

        Raises:
            InvalidInputError: There is no such state, or a label cannot be one.
            AgentBayError: A page could not be read.

        Example:
            ```python
            async for session_id in bay.list_all({"project": "demo"}):
                print(session_id, session_id.status)
            ```
        """
        token = ""
        while True:
            page = await self._page(labels, 50, token, status, image_id)
            for entry in page.value.sessions:
                yield SessionId.of(entry)
            token = page.value.next_token
            if not token:
                return

    @reported(SessionListResult)
    async def list(
        self,
        labels: Mapping[str, str] | None = None,
        page: int | None = None,
        limit: int | None = None,
        status: str | None = None,
        image_id: str | None = None,
    ) -> SessionListResult:
        """List one page of the sessions that match.

        Args:
            labels: Only sessions with all of these labels.
            page: Number of the page, from 1. A page is found by walking those before it;
                `list_all` goes through all of them.
            limit: How many entries a page has; 10 by default.
            status: Only sessions in this state, such as ``"RUNNING"``.
            image_id: Only sessions of this image.

        Example:
            ```python
            result = await bay.list({"project": "demo"}, limit=5)
            for session_id in result.session_ids:
                print(session_id, session_id.status)
            ```
        """
        number, size = _positive("page", page, 1), _positive("limit", limit, 10)
        reply = await self._page(labels, size, "", status, image_id)
        for passed in range(1, number):
            token = creation.next_token(reply, passed, number)
            reply = await self._page(labels, size, token, status, image_id)
        return SessionListResult.of(reply.request_id, reply.value, size)

    async def list_by_labels(
        self, params: ListSessionParams | Mapping[str, str] | None = None
    ) -> SessionListResult:
        """List one page of the sessions that have all of some labels; see `list`.

        Args:
            params: The labels, or the labels with the page that is wanted.
        """
        return await account_calls.list_by_labels(self, params)

    async def get_session(self, session_id: str) -> GetSessionResult:
        """Tell everything that the service knows about a session; `get` finds one to use."""
        return await account_calls.get_session(self, session_id)

    async def beta_pause(
        self, session: AsyncSession, timeout: float = 600, poll_interval: float = 2.0
    ) -> SessionPauseResult:
        """Freeze a session; see `AsyncSession.beta_pause`."""
        return await lifecycle.pause(session, timeout, poll_interval)

    async def beta_resume(
        self, session: AsyncSession, timeout: float = 600, poll_interval: float = 2.0
    ) -> SessionResumeResult:
        """Let a paused session go on; see `AsyncSession.beta_resume`."""
        return await lifecycle.resume(session, timeout, poll_interval)

    pause = beta_pause
    resume = beta_resume

    def deadline(self, seconds: float) -> Deadline:
        """Limit the time of every call inside a block, all of them together.

        Args:
            seconds: From the beginning of the block, 0 or more.

        Raises:
            InvalidInputError: `seconds` is no number, or below 0.

        Example:
            ```python
            with bay.deadline(30):
                result = await session.command.run("make test")
            ```
        """
        return Deadline(seconds)

    async def reap(self, older_than: float = 0) -> builtins.list[str]:
        """Delete the sessions that clients with the same `owner` left behind.

        Args:
            older_than: Only sessions that were asked for at least so many seconds ago;
                compares the clock of this machine with that of the one that asked.

        Returns:
            The identifiers of the sessions that were deleted.

        Raises:
            ConfigError: This client has no `owner`.
            InvalidInputError: `older_than` is below 0.
            AgentBayError: The sessions cannot be found, or one of them cannot be deleted.

        Example:
            ```python
            bay = AsyncAgentBay(owner="nightly-tests")
            await bay.reap(older_than=3600)
            ```
        """
        return await account_calls.reap(self, self._owner, older_than)

    async def aclose(self) -> None:
        """Close the connections of the current event loop, those of its sessions too.

        Before that, what callers began on it that were cancelled or out of time is undone.
        """
        await self._clean_ups.before(self._client.aclose)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.aclose()

    @reported(DeleteResult)
    async def _end(self, session: AsyncSession, sync_context: bool) -> DeleteResult:
        """Delete a session, whether or not the caller is cancelled."""
        limit = _CLEAN_UP_LIMIT + (_CONTEXT_LIMIT if sync_context else 0)
        with cleaning_up(limit):
            return await session.delete(sync_context)
        raise AgentBayError(f"session {session.session_id} was not deleted within {limit:g} s")

    async def _create(self, call: actions.CreateSession) -> Reply[actions.SessionData]:
        """Create a session when there is a place for it."""
        await self._take_slot(call.action)
        reply = await creating.create_session(
            self._client, self._clean_ups, call, self._owner, self._slots.give_back
        )
        self._created.add(reply.value.session_id)
        if not self._settings.is_local:
            left_over.opened(reply.value.session_id)
        return reply

    async def _take_slot(self, action: str) -> None:
        limit = self._client.limit(_QUEUE_LIMIT, action)
        with anyio.move_on_after(limit):
            await self._slots.take()
            return
        raise RequestTimeoutError(
            f"{action}: there are as many sessions as max_sessions allows, and none was deleted "
            f"within {limit:g} s",
            action=action,
            sent=False,
        )

    def _ended(self, session_id: str) -> None:
        """Give back the place of a session that has ended, whoever created it."""
        left_over.closed(session_id)
        if session_id in self._created:
            self._created.discard(session_id)
            self._slots.give_back()

    async def _made(self, data: actions.SessionData, params: CreateSessionParams) -> AsyncSession:
        """The session that the service made, in the state that was asked for."""
        session = AsyncSession(self, data.session_id)
        replay = bool(params.enable_browser_replay)
        session._adopt(data, image_id=params.image_id or "", replay=replay)
        try:
            await self._prepare(session, params)
        except AgentBayError:
            await self._clean_ups.start(partial(self._end, session, False)).wait()
            raise
        except BaseException:  # cancelled: nobody else knows of the session
            self._clean_ups.start(partial(self._end, session, False))
            raise
        return session

    async def _prepare(self, session: AsyncSession, params: CreateSessionParams) -> None:
        """Bring a new session into the state that was asked for."""
        mobile = params.extra_configs.mobile if params.extra_configs else None
        if mobile is not None:
            (await session.mobile.configure(mobile)).unwrap()
        await self._wait_for_contexts(session, creation.synced_contexts(params))
        if mobile is not None and mobile.simulate_config is not None:
            (await session.mobile.simulate(mobile.simulate_config)).unwrap()

    async def _wait_for_contexts(self, session: AsyncSession, syncs: Sequence[ContextSync]) -> None:
        waited = {s.context_id for s in syncs if s.beta_wait_for_completion is not False}
        if not waited:
            return
        try:
            with anyio.fail_after(_CONTEXT_LIMIT):
                await session.context._settled(waited, None, "download")
        except TimeoutError as exc:
            raise AgentBayError(
                f"the contexts {', '.join(sorted(waited))} did not arrive within "
                f"{_CONTEXT_LIMIT:g} s; the session was deleted"
            ) from exc

    async def _page(
        self,
        labels: Mapping[str, str] | None,
        size: int,
        token: str,
        status: str | None,
        image_id: str | None,
    ) -> Reply[details.SessionPage]:
        return await self._client.send(
            details.ListSessions(
                labels=check_labels(labels or {}),
                max_results=size,
                next_token=token or None,
                status=_status(status),
                image_id=image_id,
            )
        )


def _positive(name: str, value: int | None, default: int) -> int:
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInputError(f"{name} must be a positive integer, not {value!r}")
    return value


def _status(status: str | None) -> actions.SessionStatus | None:
    try:
        return None if status is None else actions.SessionStatus(status)
    except ValueError as exc:
        known = ", ".join(actions.SessionStatus)
        raise InvalidInputError(f"status must be one of {known}, not {status!r}") from exc
