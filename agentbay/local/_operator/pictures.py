"""Pictures of pages."""

from __future__ import annotations

from typing import Any, cast

from ...protocol.browser_operator import TakePicture
from .._errors import ToolFailure
from .page import Page

# Pixels: taller pictures take the memory of the whole session.
_TALLEST = 32_000

# What clients send when nobody asked for a quality. PNG has none, and loses nothing.
_USUAL_QUALITY = 80

# Seconds, by default; a limit from here on is meant in milliseconds.
_LIMIT, _MILLISECONDS = 30.0, 1000


async def take_picture(page: Page, call: TakePicture) -> str:
    """A data URL: a PNG, or a JPEG if another quality than the usual one is asked for.

    Raises:
        ToolFailure: The part that is to be shown is not on the page, or is too large.
    """
    metrics = await page.send("Page.getLayoutMetrics")
    area = _area(metrics, call)
    kind = "png" if call.quality == _USUAL_QUALITY else "jpeg"
    params: dict[str, Any] = {"format": kind, "captureBeyondViewport": call.full_page}
    if kind == "jpeg":
        params["quality"] = call.quality
    if area:
        params["clip"] = {**area, "scale": 1}
    wanted = call.timeout or _LIMIT
    limit = wanted if wanted < _MILLISECONDS else wanted / 1000
    reply = await page.cdp.send(
        "Page.captureScreenshot", params, session_id=page.session_id, limit=limit
    )
    return f"data:image/{kind};base64,{reply.get('data', '')}"


async def picture_for_model(page: Page) -> str:
    """A data URL that shows the view of a page as a JPEG."""
    return await take_picture(page, TakePicture(full_page=False, quality=60))


def _area(metrics: dict[str, Any], call: TakePicture) -> dict[str, float] | None:
    """The part of the page to show; None for what is in view."""
    content, view = _box(metrics, "cssContentSize"), _box(metrics, "cssVisualViewport")
    if not call.full_page and call.clip is None:
        return None
    # A part of the view is given from its corner, and the browser wants it from the page's.
    left, top = (0.0, 0.0) if call.full_page else (view["pageX"], view["pageY"])
    wide, high = (
        (content["width"], content["height"])
        if call.full_page
        else (view["clientWidth"], view["clientHeight"])
    )
    part = call.clip or {"x": 0.0, "y": 0.0, "width": wide, "height": high}
    width, height = min(part["width"], wide - part["x"]), min(part["height"], high - part["y"])
    if part["x"] < 0 or part["y"] < 0 or width < 1 or height < 1:
        raise ToolFailure(f"the clip is not within the page, which is {wide:g} x {high:g}")
    if height > _TALLEST:
        raise ToolFailure(
            f"the page is {high:g} pixels tall, and a picture is {_TALLEST} at most: "
            "show parts of it with clip="
        )
    return {"x": left + part["x"], "y": top + part["y"], "width": width, "height": height}


def _box(metrics: dict[str, Any], name: str) -> dict[str, float]:
    found = cast("dict[str, Any]", metrics.get(name) or {})
    names = ("width", "height", "pageX", "pageY", "clientWidth", "clientHeight")
    return {side: float(found.get(side, 0.0)) for side in names}
