"""What is done to elements of a page: with the mouse, the keyboard, and in fields."""

from __future__ import annotations

from typing import Any

import attrs

from ...protocol._wire import named
from .._errors import ToolFailure
from . import scripts
from .input import Keyboard, Mouse, Place, Spot, ready
from .methods import Nothing, Step, method
from .pages import at_rest

# -- arguments -------------------------------------------------------------------------


def _listed(raw: Any) -> Any:
    """One value alone stands for a list of it."""
    return raw if isinstance(raw, list) else [raw]  # pyright: ignore[reportUnknownVariableType]


@attrs.frozen
class _Click:
    button: str = named(default="left", validator=attrs.validators.in_(("left", "right", "middle")))
    force: bool = False


@attrs.frozen
class _Text:
    text: str = named(also=("value",))


@attrs.frozen
class _Press:
    key: str = named(also=("keys", "text", "value"))


@attrs.frozen
class _Select:
    values: list[str] = named(
        also=("value", "option", "label", "text"),
        read=_listed,
    )


@attrs.frozen
class _Scroll:
    """Pixels; or a direction, and how many."""

    direction: str | None = None
    amount: float | None = None
    x: float = 0.0
    y: float = 0.0


@attrs.frozen
class _Drag:
    to: str = named(also=("target",))


@attrs.frozen
class _Files:
    paths: list[str] = named(also=("files", "path"), read=_listed)


# -- the mouse -------------------------------------------------------------------------


@method(_Click, "click", "tap", "left_click")
async def _click(step: Step, call: _Click) -> str:
    return await _press_at(step, call, times=1)


@method(_Click, "double_click", "dblclick")
async def _double_click(step: Step, call: _Click) -> str:
    return await _press_at(step, call, times=2)


@method(Nothing, "right_click", "context_click")
async def _right_click(step: Step, _: Nothing) -> str:
    return await _press_at(step, _Click("right"), times=1)


async def _press_at(step: Step, call: _Click, *, times: int) -> str:
    place = step.somewhere("click")
    spot = await ready(step.page, place, step.limit, reachable=not call.force)
    await Mouse(step.page).click(spot.x, spot.y, button=call.button, times=times)
    return f"clicked {place}"


@method(Nothing, "hover")
async def _hover(step: Step, _: Nothing) -> str:
    place = step.somewhere("hover")
    spot = await ready(step.page, place, step.limit, enabled=False)
    await Mouse(step.page).move(spot.x, spot.y)
    return f"moved to {place}"


@method(_Drag, "drag", "drag_and_drop", "drag_to")
async def _drag(step: Step, call: _Drag) -> str:
    place = step.somewhere("drag")
    end = await ready(step.page, Place(call.to), step.limit, enabled=False)
    start = await ready(step.page, place, step.limit)
    # Bringing the one into view may have moved the other.
    end = await ready(step.page, Place(call.to), step.limit, enabled=False)
    await Mouse(step.page).drag(start, end)
    return f"dragged {place} to {call.to}"


@method(_Scroll, "scroll", "scroll_to", "scroll_into_view", "mouse_wheel")
async def _scroll(step: Step, call: _Scroll) -> str:
    right, down = await _distance(step, call)
    if step.place is None:
        size = await step.page.run(await step.page.main_frame(), scripts.VIEW)
        x, y, what = size[0] / 2, size[1] / 2, "the page"
    else:
        spot = await ready(step.page, step.place, step.limit, enabled=False, reachable=False)
        x, y, what = spot.x, spot.y, str(step.place)
    if not right and not down:
        return f"brought {what} into view"
    await Mouse(step.page).wheel(x, y, right=right, down=down)
    return f"scrolled {what}"


async def _distance(step: Step, call: _Scroll) -> tuple[float, float]:
    """How far to scroll: to the right, and down."""
    if call.direction is None:
        if step.place is None and not call.x and not call.y:
            raise ToolFailure("scroll needs a direction, or x and y in pixels, or a selector")
        return call.x, call.y or call.amount or 0.0
    signs = {"down": (0, 1), "up": (0, -1), "right": (1, 0), "left": (-1, 0)}
    if call.direction not in signs:
        raise ToolFailure(f"the direction is one of {', '.join(signs)}")
    right, down = signs[call.direction]
    view = await step.page.run(await step.page.main_frame(), scripts.VIEW)
    amount = call.amount or view[1] * 0.8
    return right * amount, down * amount


# -- the keyboard, and fields ----------------------------------------------------------


@method(Nothing, "focus")
async def _focus(step: Step, _: Nothing) -> str:
    place = step.somewhere("focus")
    spot = await ready(step.page, place, step.limit, reachable=False)
    await step.page.ask(spot.element, scripts.FOCUS)
    return f"went to {place}"


@method(_Text, "fill", "set_value")
async def _fill(step: Step, call: _Text) -> str:
    place = step.somewhere("fill")
    spot = await _replaced(step, place, call.text)
    if spot is not None:
        reason = await step.page.ask(spot.element, scripts.SET_VALUE, call.text)
        if reason:
            raise ToolFailure(f"{place} {reason}", number=-1)
    return f"filled {place}"


@method(Nothing, "clear")
async def _clear(step: Step, _: Nothing) -> str:
    place = step.somewhere("clear")
    await _fill(step, _Text(""))
    return f"cleared {place}"


async def _replaced(step: Step, place: Place, text: str) -> Spot | None:
    """Type over the text of a field; its spot instead if it takes a value and no typing."""
    spot = await ready(step.page, place, step.limit, editable=True, reachable=False)
    how = await step.page.ask(spot.element, scripts.SELECT_TEXT)
    if how == "set":
        return spot
    if how != "type":
        raise ToolFailure(f"{place} {how}", number=-1)
    keyboard = Keyboard(step.page)
    await (keyboard.insert(text) if text else keyboard.press("Delete"))
    return None


@method(_Text, "type", "type_text", "input", "press_sequentially")
async def _type(step: Step, call: _Text) -> str:
    if step.place is not None:
        spot = await ready(step.page, step.place, step.limit, editable=True, reachable=False)
        await step.page.ask(spot.element, scripts.FOCUS)
    await Keyboard(step.page).write(call.text)
    return f"typed into {step.place or 'the page'}"


@method(_Press, "press", "press_key", "key_press", "keyboard_press")
async def _press(step: Step, call: _Press) -> str:
    if step.place is not None:
        spot = await ready(step.page, step.place, step.limit, reachable=False)
        await step.page.ask(spot.element, scripts.FOCUS)
    await Keyboard(step.page).press(call.key)
    return f"pressed {call.key}"


@method(_Select, "select", "select_option", "select_option_from_dropdown")
async def _select(step: Step, call: _Select) -> str:
    place = step.somewhere("select")
    spot = await ready(step.page, place, step.limit, reachable=False)
    reason = await step.page.ask(spot.element, scripts.CHOOSE, call.values)
    if reason:
        raise ToolFailure(f"{place} {reason}", number=-1)
    return f"chose {', '.join(call.values)} in {place}"


@method(Nothing, "check")
async def _check(step: Step, _: Nothing) -> str:
    return await _set_checked(step, wanted=True)


@method(Nothing, "uncheck")
async def _uncheck(step: Step, _: Nothing) -> str:
    return await _set_checked(step, wanted=False)


async def _set_checked(step: Step, *, wanted: bool) -> str:
    place = step.somewhere("check")
    spot = await ready(step.page, place, step.limit)
    for attempt in ("look", "click", "look"):
        if attempt == "click":
            await Mouse(step.page).click(spot.x, spot.y)
            await at_rest(step.page)
            continue
        state = await step.page.ask(spot.element, scripts.CHECKED)
        if state is None:
            raise ToolFailure(f"{place} cannot be checked")
        if state is wanted:
            return f"{'checked' if wanted else 'unchecked'} {place}"
    raise ToolFailure(f"{place} stays {'unchecked' if wanted else 'checked'}", number=-1)


@method(_Files, "set_files", "set_input_files", "upload", "upload_file")
async def _set_files(step: Step, call: _Files) -> str:
    place = step.somewhere("set_files")
    # Pages like to hide such a field behind a button of their own.
    element = place.element or await step.page.find(place.selector)
    if element is None:
        raise ToolFailure(f"{place} matches no element of the page", number=-1)
    params = {"files": call.paths, "objectId": element.object_id}
    await step.page.send("DOM.setFileInputFiles", params, frame=element.frame)
    return f"gave {', '.join(call.paths)} to {place}"
