"""Agents that do what they are told in natural language."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any

from .._results.agent import ExecutionResult, QueryResult
from .._results.base import raising, reported
from ..errors import AgentError, BrowserError, InvalidInputError
from ..protocol import agent as tools
from ..protocol.agent import AgentEvent
from ..protocol.agent_stream import StreamMobileTask
from ..protocol.browser import BrowserOption
from ._agent_controls import TaskControls
from ._agent_runs import INTERVAL, LOOK_LIMIT, Run, seconds
from ._agent_stream import Listeners, begin_stream
from ._resource import Resource
from .agent_task import AsyncTaskExecution


class AsyncAgentComputer(TaskControls):
    """Does tasks on the desktop of a session, such as one made from ``windows_latest``."""

    _tools = tools.COMPUTER

    @reported(ExecutionResult)
    async def execute_task(self, task: str) -> ExecutionResult:
        """Begin a task, and go on while the agent works on it.

        Args:
            task: What is to be done.

        Returns:
            The `task_id`, for `get_task_status`, `terminate_task` and `attach`.

        Example:
            ```python
            started = await session.agent.computer.execute_task("Open Notepad and write hello")
            print((await session.agent.computer.get_task_status(started.task_id)).task_status)
            ```
        """
        return await self._begin(tools.StartComputerTask(task))

    @reported(ExecutionResult)
    async def execute_task_and_wait(self, task: str, timeout: float) -> ExecutionResult:
        """Do a task, and wait until it has ended.

        At the time limit, and when the caller is cancelled, the task is ended.

        Args:
            task: What is to be done.
            timeout: Seconds to wait.

        Example:
            ```python
            result = await session.agent.computer.execute_task_and_wait("Empty the bin", 120)
            print(result.task_result if result.success else result.error_message)
            ```
        """
        return await self._finish(tools.StartComputerTask(task), timeout)


class AsyncAgentBrowser(TaskControls):
    """Does tasks in the browser of a session; starts the browser when it does not run."""

    _tools = tools.BROWSER

    async def initialize(self, option: BrowserOption | None = None) -> bool:
        """Start the browser with an option; the same as `session.browser.initialize`.

        Returns:
            Whether it runs. When it does not, `session.browser.error` says why.
        """
        return await self._session.browser.initialize(option)

    @reported(ExecutionResult)
    async def execute_task(
        self,
        task: str,
        use_vision: bool = False,
        output_schema: type[Any] | Mapping[str, Any] | str | None = None,
        full_page_screenshot: bool | None = False,
    ) -> ExecutionResult:
        """Begin a task, and go on while the agent works on it.

        Args:
            task: What is to be done.
            use_vision: Let the agent look at pictures of the pages.
            output_schema: The shape of the result: a model class of pydantic, or a JSON
                schema. By default the result is a text.
            full_page_screenshot: Let the pictures show whole pages.

        Returns:
            The `task_id`, for `get_task_status`, `terminate_task` and `attach`.
        """
        call = _browser_task(task, use_vision, full_page_screenshot, output_schema)
        await self._start_browser()
        return await self._begin(call)

    @reported(ExecutionResult)
    async def execute_task_and_wait(
        self,
        task: str,
        timeout: float,
        use_vision: bool = False,
        output_schema: type[Any] | Mapping[str, Any] | str | None = None,
        full_page_screenshot: bool | None = False,
    ) -> ExecutionResult:
        """Do a task, and wait until it has ended.

        At the time limit, and when the caller is cancelled, the task is ended.

        Args:
            task: What is to be done.
            timeout: Seconds to wait, not counting the start of the browser.
            use_vision: Let the agent look at pictures of the pages.
            output_schema: The shape of the result: a model class of pydantic, or a JSON
                schema. By default the result is a text.
            full_page_screenshot: Let the pictures show whole pages.

        Example:
            ```python
            result = await session.agent.browser.execute_task_and_wait(
                "Find the price of the book on example.com",
                timeout=180,
                output_schema={"type": "object", "properties": {"price": {"type": "number"}}},
            )
            print(result.task_result)
            ```
        """
        call = _browser_task(task, use_vision, full_page_screenshot, output_schema)
        seconds(timeout)
        await self._start_browser()
        return await self._finish(call, timeout)

    async def _start_browser(self) -> None:
        browser = self._session.browser
        if not await browser.initialize():
            raise browser.error or BrowserError("the browser did not start")


class AsyncAgentMobile(TaskControls):
    """Does tasks on a phone: a session made from an image such as ``mobile_latest``."""

    _tools = tools.MOBILE

    async def execute_task(
        self,
        task: str,
        max_steps: int = 50,
        on_reasoning: Callable[[AgentEvent], Awaitable[object] | None] | None = None,
        on_content: Callable[[AgentEvent], Awaitable[object] | None] | None = None,
        on_tool_call: Callable[[AgentEvent], Awaitable[object] | None] | None = None,
        on_tool_result: Callable[[AgentEvent], Awaitable[object] | None] | None = None,
        on_error: Callable[[AgentEvent], Awaitable[object] | None] | None = None,
        on_call_for_user: Callable[[AgentEvent], Awaitable[str] | str] | None = None,
        *,
        stream: bool = False,
    ) -> AsyncTaskExecution:
        """Begin a task, and go on while the agent works on it.

        With any of the functions the task is streamed: they are called while the agent works,
        in the order of its steps, whether or not anyone waits for the task. What one of
        them raises ends the task.

        Args:
            task: What is to be done.
            max_steps: How many steps the agent may take.
            on_reasoning: Is told what the agent thinks, in pieces.
            on_content: Is told what the agent says, in pieces.
            on_tool_call: Is told which tool the agent uses.
            on_tool_result: Is told what the tool answered.
            on_error: Is told what went wrong.
            on_call_for_user: Answers when the agent asks the user something, such as for a
                code; the question is the `prompt` of the event. A plain function runs in a
                thread, because it may wait for a human. Without it, and when it fails, the
                answer is an empty text.
            stream: Stream the task also without a function, for `events`.

        Raises:
            AgentError: The task could not be begun.
            SessionError: The session does not stream.
            InvalidInputError: An argument makes no sense; nothing was sent.

        Example:
            ```python
            execution = await session.agent.mobile.execute_task(
                "Log in to the shop",
                on_content=lambda event: print(event.content, end=""),
                on_call_for_user=lambda event: input(event.prompt),
            )
            result = await execution.wait(timeout=180)
            ```
        """
        listeners = Listeners(
            on_reasoning, on_content, on_tool_call, on_tool_result, on_error, on_call_for_user
        )
        return AsyncTaskExecution(_run=await self._run(task, max_steps, listeners, stream=stream))

    @reported(ExecutionResult)
    async def execute_task_and_wait(
        self,
        task: str,
        timeout: float,
        max_steps: int = 50,
        on_reasoning: Callable[[AgentEvent], Awaitable[object] | None] | None = None,
        on_content: Callable[[AgentEvent], Awaitable[object] | None] | None = None,
        on_tool_call: Callable[[AgentEvent], Awaitable[object] | None] | None = None,
        on_tool_result: Callable[[AgentEvent], Awaitable[object] | None] | None = None,
        on_error: Callable[[AgentEvent], Awaitable[object] | None] | None = None,
        on_call_for_user: Callable[[AgentEvent], Awaitable[str] | str] | None = None,
    ) -> ExecutionResult:
        """Do a task, and wait until it has ended.

        At the time limit, and when the caller is cancelled, the task is ended.

        Args:
            task: What is to be done.
            timeout: Seconds to wait.
            max_steps: How many steps the agent may take.
            on_reasoning: As for `execute_task`; with any of the functions, the task is
                streamed.
            on_content: As for `execute_task`.
            on_tool_call: As for `execute_task`.
            on_tool_result: As for `execute_task`.
            on_error: As for `execute_task`.
            on_call_for_user: As for `execute_task`.

        Raises:
            Exception: What one of the functions raised.

        Example:
            ```python
            result = await session.agent.mobile.execute_task_and_wait(
                "Turn on the flashlight", timeout=120
            )
            print(result.task_result if result.success else result.error_message)
            ```
        """
        listeners = Listeners(
            on_reasoning, on_content, on_tool_call, on_tool_result, on_error, on_call_for_user
        )
        limit = seconds(timeout)
        run = await self._run(task, max_steps, listeners)
        return await run.wait(limit, at_limit=True, at_cancel=True)

    async def _run(
        self, task: str, max_steps: int, listeners: Listeners, *, stream: bool = False
    ) -> Run:
        if not (stream or listeners):
            return await self._polled(tools.StartMobileTask(task, max_steps))
        call = StreamMobileTask(task, max_steps)
        return await begin_stream(self, await self._session._websocket(), call, listeners)

    @raising(AgentError)
    async def _polled(self, call: tools.StartMobileTask) -> Run:
        return await self._start(call)


class AsyncAgent(Resource):
    """Lets agents work in a session: on its desktop, in its browser, on its phone.

    Example:
        ```python
        result = await session.agent.computer.execute_task_and_wait("Open Notepad", 120)
        print(result.task_result)
        ```
    """

    Computer = AsyncAgentComputer
    Browser = AsyncAgentBrowser
    Mobile = AsyncAgentMobile

    @cached_property
    def computer(self) -> AsyncAgentComputer:
        """Do tasks on the desktop."""
        return AsyncAgentComputer(self._session)

    @cached_property
    def browser(self) -> AsyncAgentBrowser:
        """Do tasks in the browser."""
        return AsyncAgentBrowser(self._session)

    @cached_property
    def mobile(self) -> AsyncAgentMobile:
        """Do tasks on the phone."""
        return AsyncAgentMobile(self._session)

    @reported(ExecutionResult)
    async def execute_task(self, task: str, max_try_times: int = 100) -> ExecutionResult:
        """Do a task on the desktop, and wait until it has ended.

        Args:
            task: What is to be done.
            max_try_times: How often to look whether it has ended, every 3 seconds. After
                that the task goes on, and can be looked at and ended by its `task_id`.

        Example:
            ```python
            result = await session.agent.execute_task("Open Notepad", max_try_times=40)
            print(result.task_result if result.success else result.error_message)
            ```
        """
        looks = _times(max_try_times)
        run = await self.computer._start(tools.StartComputerTask(task))
        limit = looks * (INTERVAL + LOOK_LIMIT)
        return await run.wait(limit, at_limit=False, at_cancel=True, looks=looks)

    async def async_execute_task(self, task: str) -> ExecutionResult:
        """Begin a task on the desktop; the same as `computer.execute_task`."""
        return await self.computer.execute_task(task)

    async def get_task_status(self, task_id: str) -> QueryResult:
        """Tell how a task on the desktop stands."""
        return await self.computer.get_task_status(task_id)

    async def terminate_task(self, task_id: str) -> ExecutionResult:
        """End a task on the desktop."""
        return await self.computer.terminate_task(task_id)


def _browser_task(
    task: str, use_vision: bool, full_page: bool | None, schema: object
) -> tools.StartBrowserTask:
    pages = False if full_page is None else full_page
    return tools.StartBrowserTask(task, use_vision, pages, tools.schema_text(schema))


def _times(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1e8:
        raise InvalidInputError(f"max_try_times must be a positive whole number, not {value!r}")
    return value
