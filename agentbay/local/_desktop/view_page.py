"""The page that shows the screen of a session in a web browser.

It needs nothing from elsewhere, and its policy lets it load nothing from elsewhere.
"""

from __future__ import annotations

import html
from collections.abc import Mapping

POLICY = (
    b"default-src 'none'; img-src 'self' data:; script-src 'self'; style-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'"
)


def page(session_id: str, facts: Mapping[str, str], *, screen: bool) -> str:
    """The page of a session.

    Args:
        session_id: Its id.
        facts: What else to tell of it.
        screen: Whether it has a screen to show.
    """
    rows = {"Session": session_id, **facts}
    cells = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return _PAGE.format(
        title=html.escape(session_id), rows=cells, screen=_SCREEN if screen else _NO_SCREEN
    )


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="view.css">
<title>{title}</title>
{screen}
<details><summary>About this session</summary><table>{rows}</table></details>
</html>
"""

_SCREEN = """<header>
<output id="state">connecting</output>
<input id="text" placeholder="text to type, then Enter" autocomplete="off" spellcheck="false">
</header>
<img id="screen" tabindex="0" draggable="false" alt="the screen of the session">
<script src="view.js" defer></script>"""

_NO_SCREEN = "<p>The image of this session has no screen, so there is nothing to watch.</p>"

STYLE = """
body { margin: 0; font: 14px system-ui, sans-serif; background: #222; color: #ddd; }
header { display: flex; gap: 1em; align-items: center; padding: .4em .8em; }
#text { flex: 1; max-width: 40em; }
#screen { display: block; margin: auto; max-width: 100%; max-height: 88vh; cursor: crosshair;
  touch-action: none; outline: 1px solid #555; }
#screen:focus { outline-color: #6af; }
details, p { padding: .4em .8em; }
th { text-align: left; padding-right: 1em; }
"""

SCRIPT = """
"use strict";
const screen_ = document.getElementById("screen");
const state = document.getElementById("state");
const text = document.getElementById("text");
const address = new URL("socket", location.href);
address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const MOST = 64;
let socket = null, waiting = [], scheduled = false, wanted = null, loading = false;

function connect() {
  socket = new WebSocket(address);
  socket.onopen = () => { state.value = "connected"; };
  socket.onmessage = (message) => {
    const told = JSON.parse(message.data);
    if (told.problem !== undefined) state.value = told.problem;
    if (told.frame !== undefined) { state.value = "live"; wanted = told.frame; load(); }
  };
  socket.onclose = (event) => {
    state.value = event.reason || "disconnected";
    socket = null;
    setTimeout(connect, 2000);
  };
}

function load() {
  if (loading || wanted === null) return;
  loading = true;
  const next = new Image();
  next.onload = () => { screen_.src = next.src; loading = false; load(); };
  next.onerror = () => { loading = false; };
  next.src = "screen.png?frame=" + encodeURIComponent(wanted);
  wanted = null;
}

function tell(event) {
  const last = waiting[waiting.length - 1];
  if (event.kind === "move" && last && last.kind === "move") waiting.pop();
  if (waiting.length < 4 * MOST) waiting.push(event);
  if (!scheduled) { scheduled = true; setTimeout(flush, 30); }
}

function flush() {
  scheduled = false;
  if (!socket || socket.readyState !== WebSocket.OPEN) { waiting = []; return; }
  while (waiting.length) socket.send(JSON.stringify({ events: waiting.splice(0, MOST) }));
}

function place(event) {
  const box = screen_.getBoundingClientRect();
  const scale = screen_.naturalWidth / box.width || 1;
  return { x: Math.round((event.clientX - box.left) * scale),
           y: Math.round((event.clientY - box.top) * scale) };
}

screen_.addEventListener("pointermove", (event) => tell({ kind: "move", ...place(event) }));
for (const kind of ["down", "up"]) {
  screen_.addEventListener("pointer" + kind, (event) => {
    event.preventDefault();
    screen_.focus();
    if (kind === "down") screen_.setPointerCapture(event.pointerId);
    if (event.button >= 0 && event.button <= 2)
      tell({ kind, button: event.button, ...place(event) });
  });
}
screen_.addEventListener("contextmenu", (event) => event.preventDefault());
screen_.addEventListener("wheel", (event) => {
  event.preventDefault();
  const steps = (delta) => Math.sign(delta) * Math.min(10, Math.ceil(Math.abs(delta) / 100));
  tell({ kind: "wheel", ...place(event), right: steps(event.deltaX), down: steps(event.deltaY) });
}, { passive: false });
for (const kind of ["keydown", "keyup"]) {
  screen_.addEventListener(kind, (event) => {
    if (event.isComposing || ["Dead", "Unidentified", "Process"].includes(event.key)) return;
    event.preventDefault();
    tell({ kind, key: event.key });
  });
}
screen_.addEventListener("blur", () => {
  for (const key of ["Shift", "Control", "Alt", "Meta"]) tell({ kind: "keyup", key });
});
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || !text.value) return;
  tell({ kind: "text", text: text.value });
  text.value = "";
});
connect();
"""
