"""The live view: the screen of a session in a web browser, with mouse and keyboard.

It is served at the session's `resource_url`, which holds a token that cannot be guessed: who
has the address sees the screen and uses it. The page is told over a WebSocket when something
else is on the screen, and fetches the picture then. A session that has no display yet gets one
from the first look. While somebody watches, the session counts as used.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

import anyio
import h11

from ..protocol.computer import Screenshot
from . import images
from ._desktop import view_page
from ._desktop.view_input import DesktopScreen, Hands, Screen
from ._desktop.view_phone import PhoneScreen
from ._desktop.viewer import Frame, Viewer
from ._errors import EngineError, ToolFailure
from ._link_exchange import BROKEN, Client, RefusedError
from ._link_headers import upgrade
from ._websocket import Socket

if TYPE_CHECKING:
    from .session import LocalSession

_log = logging.getLogger(__name__)

_MOST_VIEWERS = 8
_LARGEST_BODY = 64 * 1024

_FILES = {
    b"/view.js": (b"text/javascript; charset=utf-8", view_page.SCRIPT),
    b"/view.css": (b"text/css; charset=utf-8", view_page.STYLE),
}
_SAFE = (
    (b"Content-Security-Policy", view_page.POLICY),
    (b"Referrer-Policy", b"no-referrer"),
)


class LiveView:
    """Serves the live view of one session. It belongs to the event loop of the engine."""

    def __init__(self, session: LocalSession) -> None:
        self._session = session
        self._screen = _screen_of(session)
        self._viewers: set[Viewer] = set()
        self._looking = anyio.Lock()
        self._frame: Frame | None = None
        self._digest: object = None

    async def serve(self, client: Client, request: h11.Request, target: bytes) -> None:
        """Answer a request to the address of the session."""
        try:
            await self._answer(client, request, target)
        except (RefusedError, h11.ProtocolError, *BROKEN):
            raise
        except Exception as exc:  # the engine's boundary: other sessions have links, too
            _log.exception("the live view of session %s failed", self._session.session_id)
            raise RefusedError(500, "the live view failed: see the log of the engine\n") from exc

    async def _answer(self, client: Client, request: h11.Request, target: bytes) -> None:
        path = target.partition(b"?")[0]
        if upgrade(request) is not None:
            await self._serve_socket(client, request, path)
        elif request.method not in (b"GET", b"HEAD"):
            raise RefusedError(405, "the live view can only be read\n")
        elif path == b"/":
            await self._serve_page(client, request)
        elif path == b"/screen.png":
            await self._serve_picture(client, request)
        elif path in _FILES:
            kind, text = _FILES[path]
            await client.reply(200, text, (b"Content-Type", kind), *_SAFE)
        else:
            raise RefusedError(404, "the live view has no such page\n")

    async def look(self) -> Frame:
        """What is on the screen; a picture is taken only when it has changed.

        Raises:
            ToolFailure: There is no screen, or it cannot be seen; says why.
            EngineError: The session does not run.
        """
        if self._screen is None:
            raise ToolFailure(f"image {self._session.image_id} has no screen")
        async with self._looking:
            with self._session.life.use():
                digest = await self._screen.digest()
                if self._frame is None or digest is None or digest != self._digest:
                    picture = await self._screen.picture()
                    mark = hashlib.sha256(picture).hexdigest()[:16]
                    self._frame, self._digest = Frame(mark, picture), digest
            return self._frame

    async def hands(self) -> Hands:
        """What a viewer uses the screen with; raises the same."""
        if self._screen is None:
            raise ToolFailure(f"image {self._session.image_id} has no screen")
        return await self._screen.hands()

    async def _serve_page(self, client: Client, request: h11.Request) -> None:
        path, _, query = request.target.partition(b"?")
        if not path.endswith(b"/"):
            # What the page loads is relative to its address.
            base = path.removesuffix(b"/path") + b"/path/"
            place = base + (b"?" + query if query else b"")
            await client.reply(308, "", (b"Location", place))
            return
        session = self._session
        facts = {"Image": session.image_id, **session.labels}
        text = view_page.page(session.session_id, facts, screen=self._screen is not None)
        await client.reply(200, text, (b"Content-Type", b"text/html; charset=utf-8"), *_SAFE)

    async def _serve_picture(self, client: Client, request: h11.Request) -> None:
        # Read to its end, so that another request can follow.
        await client.body(_LARGEST_BODY)
        try:
            frame = await self.look()
        except (EngineError, ToolFailure) as exc:
            raise RefusedError(503, f"{exc}\n") from exc
        tag = f'"{frame.mark}"'.encode()
        head = [
            (b"ETag", tag),
            (b"Cache-Control", b"no-cache"),
            (b"X-Content-Type-Options", b"nosniff"),
            *_SAFE,
        ]
        known = dict(request.headers).get(b"if-none-match") == tag
        body = b"" if known or request.method == b"HEAD" else frame.picture
        if not known:
            size = str(len(frame.picture)).encode()
            head += [(b"Content-Type", b"image/png"), (b"Content-Length", size)]
        answer = h11.Response(status_code=304 if known else 200, headers=head)
        content = [h11.Data(data=body)] if body else []
        await client.send(answer, *content, h11.EndOfMessage())

    async def _serve_socket(self, client: Client, request: h11.Request, path: bytes) -> None:
        if path != b"/socket":
            raise RefusedError(404, "the live view has no such page\n")
        if not _same_origin(request):
            raise RefusedError(403, "a page of another site may not use the live view\n")
        if len(self._viewers) >= _MOST_VIEWERS:
            raise RefusedError(503, f"{_MOST_VIEWERS} people are watching already\n")
        socket = Socket(client)
        viewer = Viewer(socket, self._session.life, self.look, self.hands)
        self._viewers.add(viewer)
        try:
            await socket.accept(request)
            self._session.connections.add(viewer)
            await viewer.serve()
        finally:
            self._session.connections.discard(viewer)
            self._viewers.discard(viewer)
            socket.release()


def _screen_of(session: LocalSession) -> Screen | None:
    if session.sandbox.phone is not None:
        return PhoneScreen(session.sandbox.phone)
    has_screen = images.has_tool(session.image_id, Screenshot)
    return DesktopScreen(session.sandbox) if has_screen else None


def _same_origin(request: h11.Request) -> bool:
    """Whether a page of this address asks, or what is no page."""
    headers = dict(request.headers)
    origin = headers.get(b"origin")
    return origin is None or origin.partition(b"://")[2] == headers.get(b"host")
