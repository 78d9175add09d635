"""Where each request is carried out, so that a module is imported when its first request comes.

All of them at once take longer than all the rest of the first session of a process.
"""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Where a tool is.

    Attributes:
        module: The one of `protocol` that has it.
        server: What clients name beside it.
    """

    module: str
    server: str


_ACTIONS = {
    "bindings": "BindContexts DescribeSessionContexts GetAndLoadInternalContext",
    "browser": "InitBrowser GetCdpLink",
    "context_files": (
        "DescribeContextFiles DeleteContextFile GetContextFileUploadUrl GetContextFileDownloadUrl"
    ),
    "contexts": (
        "GetContext ListContexts ModifyContext DeleteContext SyncContext GetContextInfo"
        " ClearContext"
    ),
    "lifecycle": (
        "GetSessionDetail ReleaseMcpSession DeleteSessionAsync RefreshSessionIdleTime"
        " PauseSessionAsync ResumeSessionAsync"
    ),
    "mobile": "GetAdbLink",
    "sessions": (
        "CreateMcpSession GetSession ListSession SetLabel GetLabel GetMcpResource GetLink"
    ),
    "skills": "GetSkillMetaData ListSkillMetaData",
    "tools": "ListMcpTools CallMcpTool",
}

_TOOLS = {
    Place("application", "wuying_app"): (
        "get_installed_apps start_app list_visible_apps list_running_processes stop_app_by_pname"
        " stop_app_by_pid stop_app_by_cmd"
    ),
    Place("browser", ""): "stopChrome",
    Place("browser_operator", ""): (
        "page_use_navigate page_use_screenshot page_use_close_session page_use_act_async"
        " page_use_get_act_result page_use_observe_async page_use_get_observe_result"
        " page_use_observe page_use_extract_async page_use_get_extract_result"
    ),
    Place("code", "wuying_codespace"): "run_code",
    Place("command", "wuying_shell"): "shell",
    Place("computer", "wuying_ui"): (
        "click_mouse move_mouse drag_mouse scroll get_cursor_position get_screen_size input_text"
        " press_keys release_keys"
    ),
    Place("computer", "wuying_capture"): "screenshot",
    Place("computer", "mcp-server"): "system_screenshot",
    Place("env", "wuying_system"): "set_env get_env",
    Place("file_system", "wuying_filesystem"): (
        "create_directory delete_file edit_file get_file_info list_directory move_file read_file"
        " read_multiple_files search_files write_file get_file_change"
    ),
    Place("metrics", "wuying_system"): "get_metrics",
    Place("oss", "wuying_oss"): (
        "oss_env_init oss_upload oss_download oss_upload_annon oss_download_annon"
    ),
    Place("ui", "wuying_ui"): "click",
    Place("window", "wuying_ui"): (
        "list_root_windows list_all_windows get_active_window get_window_info activate_window"
        " close_window maximize_window minimize_window restore_window fullscreen_window"
        " resize_window move_window focus_mode"
    ),
}

_ON_PHONES = {
    Place("application", "wuying_app"): "get_installed_apps start_app stop_app_by_cmd",
    Place("command", "wuying_shell"): "shell",
    Place("computer", "wuying_ui"): "input_text get_screen_size",
    Place("computer", "wuying_capture"): "screenshot",
    Place("computer", "mcp-server"): "system_screenshot",
    Place("mobile", "wuying_ui"): "tap",
    Place("ui", "wuying_ui"): (
        "click swipe send_key get_clickable_ui_elements get_all_ui_elements"
    ),
}


def _by_name(places: dict[Place, str]) -> dict[str, Place]:
    return {name: place for place, names in places.items() for name in names.split()}


# The modules of the handlers of actions. A tool has its handler in the module of its own name,
# and `mobile` has those for mobile devices.
ACTIONS: dict[str, str] = {
    name: module for module, names in _ACTIONS.items() for name in names.split()
}
TOOLS: dict[str, Place] = _by_name(_TOOLS)
ON_PHONES: dict[str, Place] = _by_name(_ON_PHONES)

# Those of the handlers of the methods of a WebSocket.
METHODS = ("code", "pty", "watch")
