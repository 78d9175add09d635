"""The operator: opens pages, shows them, and acts on them, by selectors or in plain words.

`act` and `observe` work without a model where they are told exactly what is meant: an action
that is the JSON of an observed element is done as it stands, and ``*`` observes everything.
Everything else is for the model that the settings of the engine name.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import attrs

from ..protocol import browser_operator as tools
from ..protocol._wire import WireError, decode, from_json
from ._dispatch import handles_tool
from ._errors import ToolFailure

# Imported for the methods of `act`, which they register.
from ._operator import actions, tabs
from ._operator.input import Place
from ._operator.methods import Step, canonical, perform, read_arguments
from ._operator.model import Model
from ._operator.page import Page
from ._operator.pages import check_address, navigate, on_page
from ._operator.pictures import take_picture
from ._operator.tasks import Tasks
from ._operator.words import Deadline, Outcome, act, everything, extract, filled_in, observe
from .sandbox import Sandbox

__all__ = ["actions", "tabs"]

# Seconds for a task, and for an element to become ready, when the client gives none.
_LIMIT, _READY_LIMIT = 300.0, 15.0

# The instruction that asks for all that can be used, without a model.
_EVERYTHING = "*"


@attrs.frozen
class _Action:
    """What is done to an element that was observed."""

    method: str
    selector: str = ""
    arguments: Any = None


@handles_tool(tools.Navigate)
async def navigate_to(sandbox: Sandbox, call: tools.Navigate) -> str:
    check_address(call.url)
    return await on_page(sandbox, None, partial(navigate, url=call.url))


@handles_tool(tools.TakePicture)
async def screenshot(sandbox: Sandbox, call: tools.TakePicture) -> str:
    return await on_page(sandbox, call.page_id, partial(take_picture, call=call))


@handles_tool(tools.CloseSession)
async def close_session(sandbox: Sandbox, _: tools.CloseSession) -> None:
    """End what goes on; the browser and its pages stay."""
    _tasks(sandbox).cancel()


@handles_tool(tools.Act)
async def start_act(sandbox: Sandbox, call: tools.Act) -> tools.Task:
    limit = call.timeout or (call.timeout_ms or 0) / 1000 or _LIMIT
    action = _action(call)
    if action is not None:
        ready = min(limit, _READY_LIMIT)
        work = partial(_act_exactly, action=action, limit=ready)
    else:
        model = Model.from_environment()
        work = partial(_act_in_words, call=call, model=model, limit=limit)
    return tools.Task(await _tasks(sandbox).start(partial(on_page, sandbox, call.page_id, work)))


@handles_tool(tools.GetActResult)
async def act_result(sandbox: Sandbox, call: tools.GetActResult) -> tools.ActState | None:
    outcome = cast("Outcome | None", _tasks(sandbox).result(call.task_id))
    if outcome is None:
        return tools.ActState(steps=[])
    return tools.ActState(is_done=True, success=outcome.success, steps=outcome.steps)


@handles_tool(tools.Observe)
async def start_observe(sandbox: Sandbox, call: tools.Observe) -> tools.Task:
    work = _observing(call)
    return tools.Task(await _tasks(sandbox).start(partial(on_page, sandbox, call.page_id, work)))


@handles_tool(tools.GetObserveResult)
async def observe_result(
    sandbox: Sandbox, call: tools.GetObserveResult
) -> list[tools.ObserveResult] | None:
    return cast("list[tools.ObserveResult] | None", _tasks(sandbox).result(call.task_id))


@handles_tool(tools.ObserveAtOnce)
async def observe_at_once(sandbox: Sandbox, call: tools.ObserveAtOnce) -> list[tools.ObserveResult]:
    return await on_page(sandbox, call.page_id, _observing(call))


@handles_tool(tools.Extract)
async def start_extract(sandbox: Sandbox, call: tools.Extract) -> tools.Task:
    model = Model.from_environment()
    work = partial(_extract, call=call, model=model)
    return tools.Task(await _tasks(sandbox).start(partial(on_page, sandbox, call.page_id, work)))


@handles_tool(tools.GetExtractResult)
async def extract_result(sandbox: Sandbox, call: tools.GetExtractResult) -> Any:
    return _tasks(sandbox).result(call.task_id)


# -- what the tasks do -----------------------------------------------------------------


def _tasks(sandbox: Sandbox) -> Tasks:
    if sandbox.browser is None:
        raise ToolFailure("there is no browser: initialize() starts one", number=-1)
    return sandbox.browser.tasks


async def _act_exactly(page: Page, action: _Action, limit: float) -> Outcome:
    place = Place(action.selector) if action.selector else None
    try:
        done = await perform(Step(page, place, limit), action.method, action.arguments)
    except ToolFailure as exc:
        return Outcome(False, [str(exc)])
    return Outcome(True, [done])


async def _act_in_words(page: Page, call: tools.Act, model: Model, limit: float) -> Outcome:
    return await act(page, call, model, Deadline(limit))


def _observing(call: tools.Observe | tools.ObserveAtOnce) -> Any:
    """What an observation does on the page."""
    if call.instruction.strip() == _EVERYTHING:
        selector = call.selector if isinstance(call, tools.Observe) else None
        return partial(everything, selector=selector)
    return partial(_observe, call=call, model=Model.from_environment())


async def _observe(
    page: Page, call: tools.Observe | tools.ObserveAtOnce, model: Model
) -> list[tools.ObserveResult]:
    return await observe(page, call, model, Deadline(_LIMIT))


async def _extract(page: Page, call: tools.Extract, model: Model) -> Any:
    return await extract(page, call, model, Deadline(_LIMIT))


def _action(call: tools.Act) -> _Action | None:
    """What an action says exactly; None for plain words.

    Raises:
        ToolFailure: There is no such method, or it is told something else than it needs.
    """
    try:
        found = from_json(call.action)
    except WireError:
        return None
    if not isinstance(found, dict) or "method" not in found:
        return None
    try:
        action = decode(_Action, found)
    except WireError as exc:
        raise ToolFailure(f"bad action: {exc}") from exc
    method = canonical(action.method)
    arguments = filled_in(read_arguments(method, action.arguments), call.variables or {})
    # Some clients hand on the arguments of what was observed, and not where it is.
    selector = action.selector or str(arguments.get("selector", ""))
    return _Action(method, selector, arguments)
