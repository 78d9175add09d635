"""What programs did when requests were recorded, and what the service answered them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import httpx

from agentbay import (
    AppManagerRule,
    AsyncAgentBay,
    AsyncSession,
    BetaContextMount,
    BrowserContext,
    BrowserOption,
    ContextSync,
    CreateSessionParams,
    ExtraConfigs,
    MobileExtraConfig,
)
from agentbay.protocol.contexts import Context, ContextListParams
from agentbay.protocol.sessions import SessionData, ToolServer
from agentbay.protocol.sync_policy import SyncPolicy

from .samples import STEPS, read
from .service import ENDPOINT, KEY, Sent, Service, ok, tool_says
from .test_browser import FULL
from .test_params import _RECORDED


@attrs.frozen
class Program:
    """What a program has at hand.

    Attributes:
        bay: An async client, or a blocking one with the same methods.
        session: A session of the same kind.
        local: A file of its own, which holds the text ``payload-123``.
    """

    bay: Any
    session: Any
    local: Path


# Calls that a program makes, of which only the last one is compared.
Scene = tuple[Callable[[Program], Any], ...]

_ECHO = {"command": 'echo 你好 & "q"', "timeout_ms": 1000}
_SYNC = ("ctx-1", "/p", "upload")
_SKILLS = {"context_id": "c", "skill_ids": ["a", "b"], "path": "/p"}


def _creates(params: CreateSessionParams | None = None) -> Scene:
    return (lambda p: p.bay.create(params),)


def _one(call: Callable[[Program], Any]) -> Scene:
    return (call,)


def _image(image_id: str, **options: Any) -> Scene:
    return _creates(CreateSessionParams(image_id=image_id, **options))


_FIRST_GENERATION = CreateSessionParams(
    labels={"a": "b"},
    image_id="linux_latest",
    context_syncs=[ContextSync("ctx-1", "/p", SyncPolicy())],
    browser_context=BrowserContext("ctx-b", True, "minimal"),
    policy_id="pol-1",
    enable_browser_replay=True,
    extra_configs=ExtraConfigs(MobileExtraConfig(True, AppManagerRule("Black", ["a", "b"]))),
    framework="fw",
)
_CONTEXT = Context("ctx-1", "new")
_FAR = "/temp/file-transfer/up.txt"
_UPLOAD: Callable[[Program], Any] = lambda p: p.session.file_system.upload_file(  # noqa: E731
    p.local, _FAR, poll_interval=0.01
)
_DOWNLOAD: Callable[[Program], Any] = lambda p: p.session.file_system.download_file(  # noqa: E731
    _FAR, p.local, poll_interval=0.01
)
_GET = _one(lambda p: p.bay.get(p.session.session_id))
_LABELS = {"project": "demo", "a": "b c"}
_STARTED: Callable[[Program], Any] = lambda p: p.session.browser.initialize()  # noqa: E731

SCENES: dict[str, Scene] = {
    **{
        f"0.22-async/{name[15:]}": _creates(params)
        for name, params in _RECORDED.items()
        if name.startswith("0.22-async/")
    },
    "0.22-async/get": _GET,
    "0.22-async/get-notfound": _one(lambda p: p.bay.get("nope")),
    "0.22-async/list": _one(lambda p: p.bay.list()),
    "0.22-async/list-all-options-page2": _one(
        lambda p: p.bay.list({"env": "dev"}, 2, 5, "RUNNING", "linux_latest")
    ),
    "0.22-async/get-status": _one(lambda p: p.session.get_status()),
    "0.22-async/keep-alive": _one(lambda p: p.session.keep_alive()),
    "0.22-async/set-labels": _one(lambda p: p.session.set_labels(_LABELS)),
    "0.22-async/get-labels": _one(lambda p: p.session.get_labels()),
    "0.22-async/info": _one(lambda p: p.session.info()),
    "0.22-async/get-link-default": _one(lambda p: p.session.get_link()),
    "0.22-async/get-link-all": _one(lambda p: p.session.get_link("https", 30199, '{"k":1}')),
    "0.22-async/list-mcp-tools": _one(lambda p: p.session.list_mcp_tools()),
    "0.22-async/call-tool-api": _one(lambda p: p.session.call_mcp_tool("shell", _ECHO)),
    "0.22-async/call-tool-api-error": _one(lambda p: p.session.call_mcp_tool("fail", {})),
    "0.22-async/call-tool-api-autogen": _one(
        lambda p: p.session.call_mcp_tool("shell", {"command": "x"}, auto_gen_session=True)
    ),
    "0.22-async/command": _one(lambda p: p.session.command.run("ls", 5000, "/tmp", {"A": "1"})),
    "0.22-async/run-code": _one(lambda p: p.session.code.run_code("print(1+1)", "python")),
    "0.22-async/fs-write": _one(lambda p: p.session.file_system.write_file("/tmp/a", "héllo")),
    "0.22-async/fs-read": _one(lambda p: p.session.file_system.read_file("/tmp/a")),
    "0.22-async/fs-read-bytes": _one(
        lambda p: p.session.file_system.read_file("/tmp/a", format="bytes")
    ),
    "0.22-async/create-link": _image("link_latest"),
    "0.22-async/call-tool-link": _one(
        lambda p: p.session.call_mcp_tool("shell", {"command": "echo 你好", "timeout_ms": 1000})
    ),
    "0.22-async/call-tool-link-objdata": _one(
        lambda p: p.session.call_mcp_tool("shell", {"command": "x"})
    ),
    "0.22-async/call-tool-link-error": _one(lambda p: p.session.call_mcp_tool("fail", {})),
    "0.22-async/call-tool-link-fallback-noserver": _one(
        lambda p: p.session.call_mcp_tool("unknown_tool", {"a": 1})
    ),
    "0.22-async/link-metrics": _one(lambda p: p.session.get_metrics()),
    "0.22-async/link-env-set": _one(lambda p: p.session.env.set({"A": "1"})),
    "0.22-async/link-env-get": _one(lambda p: p.session.env.get(["A"])),
    "0.22-async/ctx-create": _one(lambda p: p.bay.context.create("my ctx")),
    "0.22-async/ctx-get-name": _one(lambda p: p.bay.context.get("my ctx")),
    "0.22-async/ctx-get-id": _one(lambda p: p.bay.context.get(context_id="ctx-1")),
    "0.22-async/ctx-list": _one(lambda p: p.bay.context.list()),
    "0.22-async/ctx-list-all": _one(
        lambda p: p.bay.context.list(ContextListParams(3, "nt", "s-1"))
    ),
    "0.22-async/ctx-update": _one(lambda p: p.bay.context.update(_CONTEXT)),
    "0.22-async/ctx-clear": _one(lambda p: p.bay.context.clear("ctx-1", poll_interval=0.01)),
    "0.22-async/ctx-delete": _one(lambda p: p.bay.context.delete(_CONTEXT)),
    "0.22-async/ctx-upload-url": _one(
        lambda p: p.bay.context.get_file_upload_url("ctx-1", "/p/a b.txt")
    ),
    "0.22-async/ctx-download-url": _one(
        lambda p: p.bay.context.get_file_download_url("ctx-1", "/p/a b.txt")
    ),
    "0.22-async/ctx-list-files-page": _one(lambda p: p.bay.context.list_files("ctx-1", "/p")),
    "0.22-async/ctx-list-files-token": _one(
        lambda p: p.bay.context.list_files("ctx-1", "/p", max_results=10, next_token="abc")
    ),
    "0.22-async/ctx-delete-file": _one(lambda p: p.bay.context.delete_file("ctx-1", "/p/a.txt")),
    "0.22-async/sctx-info": _one(lambda p: p.session.context.info()),
    "0.22-async/sctx-info-all": _one(lambda p: p.session.context.info(*_SYNC)),
    "0.22-async/sctx-sync": _one(lambda p: p.session.context.sync()),
    "0.22-async/sctx-sync-all": _one(lambda p: p.session.context.sync(*_SYNC)),
    "0.22-async/sctx-bind": _one(
        lambda p: p.session.context.bind(
            ContextSync("ctx-1", "/p", SyncPolicy()), BetaContextMount("ctx-2", "/q")
        )
    ),
    "0.22-async/sctx-bindings": _one(lambda p: p.session.context.list_bindings()),
    "0.22-async/file-upload": _one(
        lambda p: p.session.file_system.upload_file(
            p.local, _FAR, content_type="text/plain", poll_interval=0.01
        )
    ),
    "0.22-async/file-download": (_UPLOAD, _DOWNLOAD),
    "0.22-async/pause": _one(lambda p: p.session.beta_pause()),
    "0.22-async/resume": _one(lambda p: p.session.beta_resume()),
    "0.22-async/browser-init": _one(lambda p: p.session.browser.initialize(FULL)),
    "0.22-async/browser-cdp": (_STARTED, lambda p: p.session.browser.get_endpoint_url()),
    "0.22-async/browser-destroy": (_STARTED, lambda p: p.session.browser.destroy()),
    "0.22-async/create-enable-replay": _creates(CreateSessionParams(enable_browser_replay=True)),
    "0.22-async/browser-init-minimal-replay": _one(
        lambda p: p.session.browser.initialize(BrowserOption())
    ),
    "0.22-async/adb": _one(lambda p: p.session.mobile.get_adb_url("PUBKEY==")),
    "0.22-async/net-create": _one(lambda p: p.bay.beta_network.get_network_bind_token()),
    "0.22-async/net-create-id": _one(lambda p: p.bay.beta_network.get_network_bind_token("net-9")),
    "0.22-async/net-describe": _one(lambda p: p.bay.beta_network.describe("net-9")),
    "0.22-async/skills-legacy": _one(lambda p: p.bay.beta_skills.get_metadata("img", ["a", "b"])),
    "0.22-async/skills-ids": _one(lambda p: p.bay.beta_skills.get_metadata(skill_ids=["a", "b"])),
    "0.22-async/skills-bind": _one(lambda p: p.bay.beta_skills.bind_context([_SKILLS])),
    "0.22-async/skills-unbind": _one(
        lambda p: p.bay.beta_skills.unbind_context([{**_SKILLS, "skill_ids": ["a"]}])
    ),
    "0.22-async/delete": _one(lambda p: p.session.delete()),
    "0.22-async/delete-sync": _one(lambda p: p.session.delete(sync_context=True)),
    "0.22-async/create-ws": _image("ws_latest"),
    "0.22-async/ws-watch": _one(lambda p: p.session.file_system.get_file_change("/tmp/watch")),
    "0.22-async/ws-delete": _one(lambda p: p.session.delete()),
    "0.22-async-http-endpoint/create-default": _creates(),
    "0.22-async-http-endpoint/get": _GET,
    "0.22-async-http-endpoint/list": _one(lambda p: p.bay.list()),
    "0.22-async-http-endpoint/call-tool-api": _one(
        lambda p: p.session.call_mcp_tool("shell", _ECHO)
    ),
    "0.22-async-http-endpoint/sctx-sync": _one(lambda p: p.session.context.sync()),
    # Below, the blocking classes are used, as they were when the requests were recorded.
    "0.22-sync/create": _creates(),
    "0.22-sync/get": _GET,
    "0.22-sync/list": _one(lambda p: p.bay.list({"a": "b"})),
    "0.22-sync/set-labels": _one(lambda p: p.session.set_labels({"project": "demo"})),
    "0.22-sync/get-labels": _one(lambda p: p.session.get_labels()),
    "0.22-sync/call-tool": _one(
        lambda p: p.session.call_mcp_tool("shell", {"command": "echo 你好", "timeout_ms": 1000})
    ),
    "0.22-sync/command": _one(lambda p: p.session.command.run("ls")),
    "0.22-sync/fs-read": _one(lambda p: p.session.file_system.read_file("/tmp/a")),
    "0.22-sync/run-code": _one(lambda p: p.session.code.run_code("print(1)", "python")),
    "0.22-sync/ctx-get": _one(lambda p: p.bay.context.get("n", create=True)),
    "0.22-sync/sctx-sync": _one(lambda p: p.session.context.sync(*_SYNC)),
    "0.22-sync/file-upload": (_UPLOAD,),
    "0.22-sync/file-download": (_UPLOAD, _DOWNLOAD),
    "0.22-sync/browser-init": _one(lambda p: p.session.browser.initialize(BrowserOption())),
    "0.22-sync/browser-cdp": (_STARTED, lambda p: p.session.browser.get_endpoint_url()),
    "0.22-sync/pause": _one(lambda p: p.session.beta_pause()),
    "0.22-sync/resume": _one(lambda p: p.session.beta_resume()),
    "0.22-sync/create-link": _image("link_latest"),
    "0.22-sync/call-link": _one(lambda p: p.session.call_mcp_tool("shell", {"command": "a"})),
    "0.22-sync/call-link2": _one(lambda p: p.session.call_mcp_tool("shell", {"command": "b"})),
    "0.22-sync/create-ws": _image("ws_link_latest"),
    "0.22-sync/ws-watch": _one(lambda p: p.session.file_system.get_file_change("/tmp/watch")),
    "0.22-sync/delete": _one(lambda p: p.session.delete()),
    "0.22-sync/delete-ws": _one(lambda p: p.session.delete()),
    "0.22-sync-http-endpoint/create": _creates(),
    "0.22-sync-http-endpoint/get": _GET,
    "0.22-sync-http-endpoint/list": _one(lambda p: p.bay.list({"a": "b"})),
    "0.22-sync-http-endpoint/call-tool": _one(
        lambda p: p.session.call_mcp_tool("shell", {"command": "echo 你好", "timeout_ms": 1000})
    ),
    "0.22-sync-http-endpoint/sctx-sync": _one(lambda p: p.session.context.sync(*_SYNC)),
    "0.10/create-default": _creates(),
    "0.10/create-all": _creates(_FIRST_GENERATION),
    "0.10/get": _GET,
    "0.10/get_session": _GET,
    "0.10/list": _one(lambda p: p.bay.list({"a": "b"}, page=2, limit=3)),
    "0.10/list-by-labels": _one(lambda p: p.bay.list({"a": "b"})),
    "0.10/set-labels": _one(lambda p: p.session.set_labels({"p": "q"})),
    "0.10/get-labels": _one(lambda p: p.session.get_labels()),
    "0.10/info": _one(lambda p: p.session.info()),
    "0.10/get-link": _one(lambda p: p.session.get_link()),
    "0.10/get-link-all": _one(lambda p: p.session.get_link("https", 30150, "{}")),
    "0.10/get-link-async": _one(lambda p: p.session.get_link("https", 30150)),
    "0.10/list-tools": _one(lambda p: p.session.list_mcp_tools()),
    "0.10/call-tool": _one(lambda p: p.session.call_mcp_tool("shell", {"command": "ls"})),
    "0.10/command": _one(lambda p: p.session.command.execute_command("ls", timeout_ms=1000)),
    "0.10/run-code": _one(lambda p: p.session.code.run_code("print(1)", "python")),
    "0.10/create-vpc": _image("vpc_latest", is_vpc=True),
    "0.10/vpc-session-call": _one(
        lambda p: p.session.call_mcp_tool("shell", {"command": "echo 你 & =", "timeout_ms": 1000})
    ),
    "0.10/vpc-session-call-flat": _one(
        lambda p: p.session.call_mcp_tool("shell", {"command": "x"})
    ),
    "0.10/vpc-command-flat": _one(lambda p: p.session.command.execute_command("ls", 1000)),
    "0.10/vpc-command": _one(lambda p: p.session.command.execute_command("ls", 1000)),
    "0.10/vpc-get-then-call": _GET,
    "0.10/ctx-list": _one(lambda p: p.bay.context.list()),
    "0.10/ctx-create": _one(lambda p: p.bay.context.create("n")),
    "0.10/ctx-get": _one(lambda p: p.bay.context.get("n")),
    "0.10/ctx-update": _one(lambda p: p.bay.context.update(Context("ctx-1", "n"))),
    "0.10/ctx-clear": _one(lambda p: p.bay.context.clear("ctx-1", poll_interval=0.01)),
    "0.10/ctx-delete": _one(lambda p: p.bay.context.delete(_CONTEXT)),
    "0.10/ctx-up": _one(lambda p: p.bay.context.get_file_upload_url("ctx-1", "/p/a")),
    "0.10/ctx-down": _one(lambda p: p.bay.context.get_file_download_url("ctx-1", "/p/a")),
    "0.10/ctx-files": _one(lambda p: p.bay.context.list_files("ctx-1", "/p")),
    "0.10/ctx-delfile": _one(lambda p: p.bay.context.delete_file("ctx-1", "/p/a")),
    "0.10/sctx-info": _one(lambda p: p.session.context.info(*_SYNC)),
    "0.10/sctx-sync": _one(lambda p: p.session.context.sync(*_SYNC)),
    "0.10/file-upload": (_UPLOAD,),
    "0.10/file-download": (_UPLOAD, _DOWNLOAD),
    "0.10/browser-init": _one(lambda p: p.session.browser.initialize(BrowserOption())),
    "0.10/browser-url": (_STARTED, lambda p: p.session.browser.get_endpoint_url()),
    "0.10/browser-init-async": _one(lambda p: p.session.browser.initialize(BrowserOption())),
    "0.10/adb": _one(lambda p: p.session.mobile.get_adb_url("PUB")),
    "0.10/delete": _one(lambda p: p.session.delete()),
    "0.10/delete-sync": _one(lambda p: p.session.delete(sync_context=True)),
}

# -- the service of the recordings -----------------------------------------------------

_ADDRESS = "127.0.0.1:43117"
_STORE = f"http://{_ADDRESS}/oss/bucket/obj?Expires=1&OSSAccessKeyId=AK&Signature=sig%3D"
_SERVERS = {
    "shell": "wuying_shell",
    "fail": "sv",
    "get_metrics": "wuying_system",
    "get_file_change": "wuying_filesystem",
}
_TOOLS = [ToolServer(name, server) for name, server in _SERVERS.items()]
_LINK = SessionData(token="tok-123", link_url=f"http://{_ADDRESS}/link", tool_list=_TOOLS)
_VPC = SessionData(
    token="tok-123",
    vpc_resource=True,
    network_interface_ip="127.0.0.1",
    http_port="43117",
    tool_list=_TOOLS,
)
_LATER_ACTIONS = ("GetCdpLink", "GetAdbLink")


def _told(step: str) -> SessionData:
    """What a session was told about itself when a step was recorded."""
    if step == "0.22-async/ws-watch":
        return SessionData(tool_list=_TOOLS)
    if "link" in step.rpartition("/")[2].split("-") or step.endswith(("call-link2", "ws-watch")):
        return _LINK
    return _VPC if step.startswith("0.10/vpc-") else SessionData()


@attrs.define
class Cloud:
    """Answers as the service did to the requests of a step."""

    step: str
    session_id: str
    status: str = "RUNNING"

    def __call__(self, sent: Sent) -> httpx.Response:
        answer = {**_ANSWERS, "GetSession": self._session, "CreateMcpSession": self._session}
        if sent.action in ("PauseSessionAsync", "ResumeSessionAsync"):
            self.status = "PAUSED" if sent.action.startswith("Pause") else "RUNNING"
        if self.step.startswith("0.10/") and sent.action in _LATER_ACTIONS:
            return httpx.Response(400, json={"Code": "InvalidAction.NotFound", "Message": "none"})
        return answer[sent.action](sent) if sent.action in answer else ok()

    def _session(self, sent: Sent) -> httpx.Response:
        if sent.form.get("SessionId") == "nope":
            return httpx.Response(400, json={"Code": "InvalidMcpSession.NotFound"})
        return ok({"SessionId": self.session_id, "Status": self.status})


def _tool(sent: Sent) -> httpx.Response:
    texts = {"get_file_change": "[]", "get_env": "{}", "get_metrics": "{}"}
    return tool_says(texts.get(sent.form["Name"], ""))


def _over_the_link(sent: Sent) -> httpx.Response:
    text = "[]" if "get_file_change" in str(sent.form) else "{}"
    return httpx.Response(200, json={"data": {"result": {"content": [{"text": text}]}}})


def _transfers(sent: Sent) -> httpx.Response:
    ids = [sent.form["ContextId"]] if "ContextId" in sent.form else _CONTEXTS
    rows = [
        {"contextId": id, "path": path, "status": "Success", "taskType": kind}
        for id in ids
        for path in ("/p", _FAR)
        for kind in ("upload", "download")
    ]
    return ok({"ContextStatus": json.dumps([{"type": "data", "data": json.dumps(rows)}])})


_CONTEXTS = ["ctx-1", "ctx-2", "ctx-b", "ctx-e", "ctx-f"]
_BINDINGS = [{"ContextId": "ctx-1", "Path": "/p"}, {"ContextId": "ctx-2", "Path": "/q"}]
_ANSWERS: dict[str, Callable[[Sent], httpx.Response]] = {
    "": _over_the_link,
    "ListSession": lambda sent: ok([], NextToken="" if "NextToken" in sent.form else "nt-1"),
    "CallMcpTool": _tool,
    "GetContextInfo": _transfers,
    "GetContext": lambda sent: ok({"Id": "ctx-1", "Name": "n", "State": "available"}),
    "GetContextFileUploadUrl": lambda sent: ok({"Url": _STORE}),
    "GetContextFileDownloadUrl": lambda sent: ok({"Url": _STORE}),
    "GetAndLoadInternalContext": lambda sent: ok(
        [{"ContextId": "ctx-ft", "ContextPath": "/temp/file-transfer", "ContextType": ""}]
    ),
    "DescribeSessionContexts": lambda sent: ok(_BINDINGS),
    "GetSessionDetail": lambda sent: ok({"Status": "RUNNING"}),
    "GetLink": lambda sent: ok({"Url": "https://x"}),
    "GetCdpLink": lambda sent: ok({"Url": "wss://x"}),
    "GetAdbLink": lambda sent: ok({"Url": "adb connect x"}),
    "GetMcpResource": lambda sent: ok({"SessionId": "s-000001"}),
    "InitBrowser": lambda sent: ok({"Port": 9222}),
    "CreateNetwork": lambda sent: ok({"NetworkId": "n", "NetworkToken": "t"}),
    "DescribeNetwork": lambda sent: ok({"Online": True}),
}


def stage(step: str) -> tuple[Service, AsyncSession]:
    """A session as it was when a step was recorded, without a request for it."""
    samples = [read(name) for name in STEPS[step]]
    ids = [request.parameters["SessionId"] for request in samples if "SessionId" in request.query]
    ids += [request.form["SessionId"] for request in samples if "SessionId" in request.form]
    session_id = next((id for id in ids if id != "s-1"), "s-000001")
    service = Service(Cloud(step, session_id))
    endpoint = f"http://{_ADDRESS}" if "http-endpoint" in step else ENDPOINT
    bay = AsyncAgentBay(KEY, endpoint=endpoint, transport=service)
    session = AsyncSession(bay, session_id)
    if step.startswith("0.10/file-"):
        session._file_transfer_context_id = "ctx-1"  # it was made together with the session
    replay = step.endswith("minimal-replay")
    session._adopt(attrs.evolve(_told(step), session_id=session_id), replay=replay)
    return service, session
