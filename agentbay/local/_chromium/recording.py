"""What the pages of a browser show, kept as pictures in a directory of the session."""

from __future__ import annotations

import base64
import binascii
import html
import json
import logging
import posixpath
import secrets
import time
from typing import TYPE_CHECKING, Any, cast

import anyio
import attrs

from .._errors import EngineError, ToolFailure
from .cdp import BrowserLost, Cdp, Event
from .targets import attached

if TYPE_CHECKING:
    from ..sandbox import Sandbox

_log = logging.getLogger(__name__)

RECORD_PATH = "/home/guest/record"

_ATTACH = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": True}
_CAST = {"format": "jpeg", "quality": 60, "maxWidth": 1280, "maxHeight": 1280}

# Seconds between two pictures of a page, pictures of one recording, and bytes of one picture.
_INTERVAL = 0.25
_MOST, _LARGEST = 20_000, 16 << 20
# Seconds that the last words of a recording may take.
_END_LIMIT = 15.0

_PLAYER = """<!doctype html><meta charset="utf-8"><title>%(title)s</title>
<style>body{font:14px sans-serif;margin:1em}img{max-width:100%%;border:1px solid #999}</style>
<p><button id="play">Play</button>
<input id="at" type="range" min="0" max="%(last)d" value="0">
<span id="when"></span></p><img id="shown" alt="">
<script>
const frames = %(frames)s, at = document.getElementById("at"); let timer = 0;
const show = () => { const f = frames[at.value]; if (!f) return;
  document.getElementById("shown").src = f.file;
  document.getElementById("when").textContent =
    new Date(f.time * 1000).toISOString() + " " + f.page; };
const step = () => { if (+at.value >= frames.length - 1) return; at.value++; show();
  const next = frames[+at.value + 1], gap = next ? next.time - frames[at.value].time : 0;
  timer = setTimeout(step, Math.min(2000, 1000 * gap)); };
at.oninput = show;
document.getElementById("play").onclick = () => { clearTimeout(timer); step(); };
show();
</script>
"""


@attrs.frozen
class _Frame:
    file: str
    time: float
    page: str


class Recording:
    """Records one browser from its start to its end.

    `index.html` in its directory plays it. Until the browser has ended there are only the
    pictures, and a line about each in `frames.jsonl`.

    Attributes:
        ended: Set once everything is written.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.ended: anyio.Event = anyio.Event()
        self._sandbox = sandbox
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._directory = posixpath.join(RECORD_PATH, f"{moment}-{secrets.token_hex(3)}")
        self._frames: list[_Frame] = []

    async def keep(self, cdp: Cdp) -> None:
        """Record until the browser ends."""
        try:
            with cdp.events("Target.attachedToTarget", "Page.screencastFrame") as events:
                await cdp.send("Target.setAutoAttach", _ATTACH)
                async for event in events:
                    if event.method == "Page.screencastFrame":
                        await self._take(cdp, event)
                    elif attached(event)[1].get("type") == "page":
                        await self._begin(cdp, attached(event)[0])
        except BrowserLost:
            pass
        except (ToolFailure, EngineError) as exc:
            _log.warning("the recording of a browser has ended early: %s", exc)
        finally:
            with anyio.move_on_after(_END_LIMIT, shield=True):
                await self._finish()
            self.ended.set()

    async def _begin(self, cdp: Cdp, page: str) -> None:
        await cdp.tell("Page.enable", session_id=page)
        await cdp.tell("Page.startScreencast", _CAST, session_id=page)

    async def _take(self, cdp: Cdp, event: Event) -> None:
        picture = _picture(event.params.get("data"))
        if picture and len(self._frames) < _MOST:
            name = f"{len(self._frames) + 1:06}.jpg"
            frame = _Frame(name, _moment(event), str(event.session_id)[:8])
            await self._write(name, picture)
            line = json.dumps(attrs.asdict(frame)).encode() + b"\n"
            await self._write("frames.jsonl", line, append=True)
            self._frames.append(frame)
        # The page sends its next picture after this, so that this is the pace.
        await anyio.sleep(_INTERVAL)
        number = {"sessionId": event.params.get("sessionId", 0)}
        await cdp.tell("Page.screencastFrameAck", number, session_id=event.session_id)

    async def _finish(self) -> None:
        values = {
            "title": html.escape(f"Browser of {self._sandbox.session_id}"),
            "last": max(0, len(self._frames) - 1),
            "frames": json.dumps([attrs.asdict(frame) for frame in self._frames]),
        }
        try:
            await self._write("index.html", (_PLAYER % values).encode())
        except (ToolFailure, EngineError) as exc:
            _log.warning("the recording of a browser has no index: %s", exc)

    async def _write(self, name: str, content: bytes, *, append: bool = False) -> None:
        path = posixpath.join(self._directory, name)
        arguments = {"path": path, "mode": "append" if append else "overwrite"}
        await self._sandbox.call("write_file", arguments, body=content)


def _picture(data: Any) -> bytes:
    try:
        found = base64.b64decode(data, validate=True) if isinstance(data, str) else b""
    except (binascii.Error, ValueError):
        return b""
    return found if len(found) <= _LARGEST else b""


def _moment(event: Event) -> float:
    """When the picture was taken, in seconds since 1970."""
    facts = event.params.get("metadata")
    moment = cast("dict[str, Any]", facts).get("timestamp") if isinstance(facts, dict) else None
    return moment if isinstance(moment, float) else time.time()
