"""Which requests may be sent again when it is not known whether the first one was carried out.

They read, or ask for a state that they also leave alone when it is there already. All others,
among them every request that this list does not know, are sent once.
"""

from __future__ import annotations

from typing import Any

from ._calls import Action
from .sessions import CallTool

# DeleteSessionAsync and its like answer that there is nothing left, which counts as done.
_ACTIONS = frozenset(
    {
        *("BindContextSkillAsync", "ClearContext", "DeleteContext", "DeleteContextFile"),
        *("DeleteSessionAsync", "DescribeContextFiles", "DescribeNetwork"),
        *("DescribeSessionContexts", "GetAdbLink", "GetAndLoadInternalContext", "GetCdpLink"),
        *("GetContext", "GetContextFileDownloadUrl", "GetContextFileUploadUrl"),
        *("GetContextInfo", "GetLabel", "GetLink", "GetMcpResource", "GetSession"),
        *("GetSessionDetail", "GetSkillMetaData", "ListContexts", "ListMcpTools", "ListSession"),
        *("ListSkillMetaData", "ModifyContext", "PauseSessionAsync", "RefreshSessionIdleTime"),
        *("ReleaseMcpSession", "ResumeSessionAsync", "SetLabel", "SyncContext"),
        "UnbindContextSkillAsync",
    }
)

# Tools that look and change nothing. `get_file_change` is none of them: what it told once, it
# does not tell again.
_TOOLS = frozenset(
    {
        *("browser_use_get_task_status", "flux_get_task_status", "get_task_status"),
        *("get_active_window", "get_all_ui_elements", "get_clickable_ui_elements"),
        *("get_cursor_position", "get_env", "get_file_info", "get_installed_apps"),
        *("get_metrics", "get_screen_size", "get_window_info", "list_all_windows"),
        *("list_directory", "list_root_windows", "list_running_processes"),
        *("list_visible_apps", "page_use_screenshot", "read_file", "read_multiple_files"),
        *("screenshot", "search_files", "system_screenshot"),
    }
)


def is_repeatable(call: Action[Any]) -> bool:
    """Whether it does no harm to carry a request out twice."""
    return call.name in _TOOLS if isinstance(call, CallTool) else call.action in _ACTIONS
