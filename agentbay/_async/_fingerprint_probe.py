"""What a browser shows to pages: asked by a page of ours, which a server on this machine gives."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from ..errors import AgentBayError, BrowserError

T = TypeVar("T")

_HOST = "127.0.0.1"

# Bytes of a request's head, and seconds for it to arrive.
_MOST, _HEAD_LIMIT = 65_536, 10.0

# The headers that belong to a fingerprint. The others tell of this one request only.
_KEPT = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "sec-ch-ua",
        "sec-ch-ua-mobile",
        "sec-ch-ua-platform",
        "sec-fetch-dest",
        "sec-fetch-mode",
        "sec-fetch-site",
        "sec-fetch-user",
        "upgrade-insecure-requests",
        "user-agent",
    }
)

_PAGE = b"<!doctype html><title>fingerprint</title><p>This page may be closed."


class ProbePage:
    """A page for one visit, on a port of this machine.

    It is served rather than blank because browsers tell some things to pages of a server
    only, and because the headers of their requests belong to a fingerprint.
    """

    def __init__(self, port: int) -> None:
        # Other programs of the machine can reach the port, but do not know the path.
        self._path = f"/{uuid.uuid4().hex}"
        self.url = f"http://{_HOST}:{port}{self._path}"
        self.headers: dict[str, str] = {}

    async def answer(self, stream: SocketStream) -> None:
        """Answer one request, and keep its headers if it is the one for the page."""
        async with stream:
            try:
                with anyio.fail_after(_HEAD_LIMIT):
                    head = await BufferedByteReceiveStream(stream).receive_until(b"\r\n\r\n", _MOST)
                    status, body = self._reply(head.decode("latin-1"))
                    await stream.send(_response(status, body))
            except (OSError, anyio.BrokenResourceError, *_ENDED):
                # Browsers open connections that they do not use.
                return

    def _reply(self, head: str) -> tuple[str, bytes]:
        request, *lines = head.split("\r\n")
        if request.split(" ")[1:2] != [self._path]:
            return "404 Not Found", b""
        pairs = (line.partition(":") for line in lines)
        found = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self.headers = {name: value for name, value in found.items() if name in _KEPT}
        return "200 OK", _PAGE


_ENDED = (anyio.EndOfStream, anyio.IncompleteRead, anyio.DelimiterNotFound)


def _response(status: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


async def served(visit: Callable[[ProbePage], Awaitable[T]]) -> T:
    """Serve the page for as long as it is being visited."""
    outcome: T | AgentBayError = BrowserError("the visit was cut short")
    async with await anyio.create_tcp_listener(local_host=_HOST) as listener:
        page = ProbePage(listener.extra(SocketAttribute.local_port))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, page.answer)
            try:
                outcome = await visit(page)
            except AgentBayError as exc:  # the group would wrap it
                outcome = exc
            tasks.cancel_scope.cancel()
    if not isinstance(outcome, AgentBayError):
        return outcome
    try:
        raise outcome
    finally:
        del outcome  # its traceback leads here


def read_probe(text: str, headers: dict[str, str]) -> dict[str, Any]:
    """The dictionary of a fingerprint, of what the script answered."""
    return {"fingerprint": json.loads(text), "headers": headers}


# The names are those of a fingerprint. Numbers that browsers give in fractions of a pixel are
# rounded, and what a browser lacks is null.
PROBE = r"""async () => {
  const within = (work, other) => Promise.race([
    Promise.resolve().then(work).catch(() => other),
    new Promise((done) => setTimeout(() => done(other), 3000)),
  ]);
  const rounded = (source, names) =>
    Object.fromEntries(names.map((name) => [name, Math.round(source[name] || 0)]));
  const codecs = (tag, types) => {
    const media = document.createElement(tag);
    return Object.fromEntries(
      Object.entries(types).map(([name, type]) => [name, media.canPlayType(type)]));
  };
  const graphics = () => {
    const gl = document.createElement("canvas").getContext("webgl");
    const names = gl && gl.getExtension("WEBGL_debug_renderer_info");
    return names && {
      renderer: gl.getParameter(names.UNMASKED_RENDERER_WEBGL),
      vendor: gl.getParameter(names.UNMASKED_VENDOR_WEBGL),
    };
  };
  const mime = (type) =>
    ({type: type.type, suffixes: type.suffixes, description: type.description});
  const fonts = () => {
    const brush = document.createElement("canvas").getContext("2d");
    const width = (family) => {
      brush.font = `72px ${family}`;
      return brush.measureText("mmMWwlliI0O&@").width;
    };
    const plain = ["monospace", "serif", "sans-serif"].map((name) => [name, width(name)]);
    return FONTS.filter((name) =>
      plain.some(([other, size]) => width(`"${name}", ${other}`) !== size));
  };
  const n = navigator;
  const hints = n.userAgentData;
  const detailed = hints && await within(() => hints.getHighEntropyValues(
    ["architecture", "bitness", "fullVersionList", "model", "platformVersion", "uaFullVersion"],
  ), {});
  const battery = n.getBattery ? await within(() => n.getBattery(), null) : null;
  const devices = n.mediaDevices
    ? await within(() => n.mediaDevices.enumerateDevices(), []) : [];
  const kind = (name) =>
    devices.filter((device) => device.kind === name).map((device) => device.toJSON());
  return JSON.stringify({
    screen: {
      ...rounded(screen, ["availHeight", "availWidth", "availTop", "availLeft", "colorDepth",
        "height", "pixelDepth", "width"]),
      ...rounded(window, ["pageXOffset", "pageYOffset", "innerHeight", "outerHeight",
        "outerWidth", "innerWidth", "screenX"]),
      ...rounded(document.documentElement, ["clientWidth", "clientHeight"]),
      devicePixelRatio: window.devicePixelRatio,
      hasHDR: matchMedia("(dynamic-range: high)").matches,
    },
    navigator: {
      userAgent: n.userAgent,
      userAgentData: hints && {
        brands: hints.brands, mobile: hints.mobile, platform: hints.platform, ...detailed,
      },
      doNotTrack: n.doNotTrack,
      appCodeName: n.appCodeName,
      appName: n.appName,
      appVersion: n.appVersion,
      oscpu: n.oscpu,
      webdriver: String(n.webdriver),
      language: n.language,
      languages: [...n.languages],
      platform: n.platform,
      deviceMemory: n.deviceMemory && Math.ceil(n.deviceMemory),
      hardwareConcurrency: n.hardwareConcurrency,
      product: n.product,
      productSub: n.productSub,
      vendor: n.vendor,
      vendorSub: n.vendorSub,
      maxTouchPoints: n.maxTouchPoints,
      extraProperties: {
        vendorFlavors: window.chrome ? ["chrome"] : [],
        isBluetoothSupported: "bluetooth" in n,
        globalPrivacyControl: n.globalPrivacyControl,
        pdfViewerEnabled: n.pdfViewerEnabled,
        installedApps: [],
      },
    },
    videoCodecs: codecs("video", {
      ogg: 'video/ogg; codecs="theora"',
      h264: 'video/mp4; codecs="avc1.42E01E"',
      webm: 'video/webm; codecs="vp8, vorbis"',
    }),
    audioCodecs: codecs("audio", {
      ogg: 'audio/ogg; codecs="vorbis"',
      mp3: "audio/mpeg",
      wav: 'audio/wav; codecs="1"',
      m4a: "audio/x-m4a",
      aac: "audio/aac",
    }),
    pluginsData: {
      plugins: [...n.plugins].map((plugin) => ({
        name: plugin.name,
        description: plugin.description,
        filename: plugin.filename,
        mimeTypes: [...plugin].map(mime),
      })),
      mimeTypes: [...n.mimeTypes].map(mime),
    },
    battery: battery && {
      charging: battery.charging,
      chargingTime: battery.chargingTime,
      dischargingTime: battery.dischargingTime,
      level: battery.level,
    },
    videoCard: await within(graphics, null),
    multimediaDevices: {
      speakers: kind("audiooutput"), micros: kind("audioinput"), webcams: kind("videoinput"),
    },
    fonts: await within(fonts, []),
    mockWebRTC: false,
    slim: false,
  });
}""".replace(
    "FONTS",
    json.dumps(
        [
            *("Arial", "Arial Black", "Calibri", "Cambria", "Candara", "Comic Sans MS"),
            *("Consolas", "Constantia", "Corbel", "Courier New", "DejaVu Sans", "DejaVu Serif"),
            *("Droid Sans", "Futura", "Garamond", "Geneva", "Georgia", "Gill Sans", "Helvetica"),
            *("Helvetica Neue", "Impact", "Liberation Mono", "Liberation Sans", "Lucida Console"),
            *("Lucida Grande", "Menlo", "Microsoft YaHei", "Monaco", "Noto Color Emoji"),
            *("Noto Sans", "Noto Sans CJK SC", "Optima", "Palatino", "PingFang SC", "Roboto"),
            *("Segoe UI", "Segoe UI Emoji", "SimSun", "Tahoma", "Times New Roman"),
            *("Trebuchet MS", "Ubuntu", "Verdana", "WenQuanYi Micro Hei"),
        ]
    ),
)
