"""Defects that are known of earlier clients, one by one: none of them is here.

The numbers are those of the list that they come from: `P` is the list of the protocol, the
others name a module or a tool. Most are promises of a module, and are tested with it: the
table names the test. The rest is tested below.
"""

from __future__ import annotations

import ast
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest

import agentbay
from agentbay import (
    AgentBay,
    AgentBayError,
    APIError,
    AppManagerRule,
    AsyncAgentBay,
    AsyncSession,
    ContextSync,
    CreateSessionParams,
    ExtraConfigs,
    GitError,
    InvalidInputError,
    MobileExtraConfig,
    MobileSimulateConfig,
    SessionStatus,
    TransportError,
)
from agentbay._async._creating import users_labels
from agentbay._async._routes import send_tool
from agentbay.protocol.bindings import LoadInternalContexts
from agentbay.protocol.context_files import ListContextFiles
from agentbay.protocol.sessions import CreateSession, SessionData

from .service import KEY, Service, always, by_action, client, ok, session_of, tool_says
from .test_replies import METHODS, _everything, _failure

TESTS = Path(__file__).parent.parent

_TESTED: dict[str, str] = {
    # -- the list of the protocol
    "P1 the key of SyncContext is in the URL": (
        "unit/test_samples.py::test_a_program_sends_what_was_recorded"
    ),
    "P2 presigned addresses are logged": (
        "unit/test_extension.py::test_an_extension_is_put_under_a_name_of_its_own"
    ),
    "P3 a redirect takes the key to another origin": (
        "unit/test_replies.py::test_a_redirect_is_not_followed"
    ),
    "P4 telemetry of the browser operator": (
        "unit/test_browser_operator.py::test_nothing_is_told_to_anyone_but_the_service"
    ),
    "P5 tokens travel in the clear": (
        "unit/test_routes.py::test_a_token_travels_in_the_clear_on_local_networks_only"
    ),
    "P5 tokens travel in the clear over ws://": (
        "unit/test_websocket_life.py"
        "::test_an_address_that_is_missing_or_unsafe_is_refused_before_anything_is_sent"
    ),
    "P6 package names are pasted into scripts": (
        "unit/test_mobile.py::test_package_names_reach_the_file_as_they_are"
    ),
    "P7 a browser without an option raises NameError": (
        "unit/test_browser.py::test_a_browser_starts_without_an_option"
    ),
    "P8 a blocking callback of a task blocks for ever": (
        "unit/test_agent_stream.py::test_blocking_code_is_asked_without_a_deadlock"
    ),
    "P9 watches die with a connection": (
        "unit/test_watch.py"
        "::test_a_lost_connection_is_subscribed_again_and_what_was_missed_is_asked_for"
    ),
    "P10 unregister_callback closes the connection of the session": (
        "unit/test_browser_messages.py::test_unregistering_does_not_close_the_connection"
    ),
    "P11 streamed code has no time limit": (
        "unit/test_code.py::test_a_stream_that_does_not_end_is_given_up"
    ),
    "P12 the first output of a terminal is lost": (
        "unit/test_pty.py::test_output_that_comes_before_the_answer_is_not_lost"
    ),
    "P13 transfers ask twice for each sync": (
        "unit/test_file_transfer.py::test_an_upload_takes_the_recorded_steps_and_syncs_once"
    ),
    "P14 Success=false with HTTP 200 is taken for a success": (
        "unit/test_replies.py::test_a_refusal_with_http_200_is_never_a_success"
    ),
    "P14 call_mcp_tool loses Code and Message": (
        "unit/test_replies.py::test_a_refusal_with_http_200_is_never_a_success"
    ),
    "P15 HTTP errors lose the request id": (
        "unit/test_replies.py::test_code_message_and_request_id_of_an_http_error_reach_the_caller"
    ),
    "P16 every simulation is one of the properties": (
        "unit/test_mobile.py::test_every_mode_of_simulation_has_its_option"
    ),
    "P18 a key that stands only in .env is not found": (
        "unit/test_config.py::test_a_key_that_stands_only_in_the_file_works_on_the_first_try"
    ),
    "P18 limits of a policy and the older one have different units": (
        "unit/test_params.py::test_a_session_is_asked_for_as_recorded"
    ),
    "P19 an empty answer of the link is a success": (
        "unit/test_routes.py::test_an_empty_or_wrong_answer_is_no_success"
    ),
    "P19 a picture is dropped on the control plane": (
        "unit/test_replies.py::test_the_text_of_an_answer_is_found"
    ),
    "P20 ranges of a file cut characters": (
        "contract/test_file_system.py::test_text_of_any_size_is_kept"
    ),
    "P20 a state that lags behind fails pause and resume": (
        "unit/test_lifecycle.py::test_a_state_that_lags_behind_is_no_failure"
    ),
    "P20 a list of files that failed has no error_message": (
        "unit/test_context_service.py::test_a_list_of_files_that_failed_says_why"
    ),
    "P20 the shapes of a private network's answers are confused": (
        "unit/test_routes.py::test_every_shape_of_an_answer_is_understood"
    ),
    "P20 a context for transfers is made by create and by get": (
        "unit/test_samples.py::test_a_blocking_program_sends_what_was_recorded"
    ),
    "P20 transfers through a context of another session": (
        "unit/test_file_transfer.py::test_every_session_has_a_store_of_its_own"
    ),
    "P21 Retry-After is not read": (
        "unit/test_replies.py::test_the_wait_that_the_service_asks_for_is_told"
    ),
    "P21 an error page loses the status": (
        "unit/test_replies.py::test_an_error_page_keeps_its_status"
    ),
    "P22 each call makes a connection and an SSL context": (
        "unit/test_transport.py::test_first_use_by_many_tasks_makes_one_client"
    ),
    "P22 the upload of an extension is read into memory": (
        "unit/test_extension.py::test_an_extension_is_read_in_pieces_while_it_is_sent"
    ),
    # -- modules: client
    "client: a Config of the first generation breaks": (
        "unit/test_config.py::test_both_orders_of_the_arguments_mean_the_same"
    ),
    "client: a Config shuts out the environment": (
        "unit/test_config.py::test_what_a_place_leaves_out_comes_from_the_next"
    ),
    "client: .env changes the environment": (
        "unit/test_config.py::test_the_file_never_changes_the_environment"
    ),
    "client: a quote in the framework breaks SdkStats": (
        "unit/test_params.py::test_a_quote_in_the_framework_does_not_break_the_request"
    ),
    "client: create changes the lists of its caller": (
        "unit/test_params.py::test_lists_of_the_caller_are_not_changed"
    ),
    "client: a simulation that is off needs its path": (
        "unit/test_params.py::test_a_simulation_that_is_off_needs_no_directory"
    ),
    "client: get without data gives a hollow session": (
        "unit/test_replies.py::test_a_success_without_what_was_asked_for_is_a_failure"
    ),
    "client: entries of a list are text or dictionaries": (
        "contract/test_sessions.py::test_a_list_entry_tells_state_and_image"
    ),
    "client: pages cannot be walked": "facade/test_sync.py::test_all_sessions_are_walked",
    "client: deleting what is gone fails": (
        "unit/test_replies.py::test_deleting_what_is_gone_succeeds"
    ),
    "client: a timeout of pause loses its request id": (
        "unit/test_lifecycle.py"
        "::test_a_pause_that_takes_too_long_keeps_its_request_id_and_the_last_state"
    ),
    "client: a woken session keeps its old credentials": (
        "unit/test_lifecycle.py::test_a_woken_session_uses_its_new_credentials"
    ),
    "client: a blank session id is sent": (
        "contract/test_sessions.py::test_a_blank_session_id_is_refused"
    ),
    # -- modules: contexts
    "context_service: success without data is an empty context": (
        "unit/test_replies.py::test_a_success_without_what_was_asked_for_is_a_failure"
    ),
    "context_service: update and delete raise": (
        "unit/test_replies.py::test_code_message_and_request_id_of_an_http_error_reach_the_caller"
    ),
    "context_service: addresses of files raise errors of the transport": (
        "unit/test_context_service.py::test_no_address_is_a_failure"
    ),
    "context_service: a short limit of clear never looks": (
        "unit/test_context_service.py::test_a_short_time_limit_has_a_look_nevertheless"
    ),
    "context_manager: nonsense is an empty list": (
        "unit/test_replies.py::test_a_state_of_transfers_that_makes_no_sense_is_a_failure"
    ),
    "context_manager: a refused sync is a TypeError": (
        "unit/test_context_manager.py::test_a_request_that_is_refused_is_a_result_and_no_callback"
    ),
    "context_manager: the callback comes twice": (
        "unit/test_context_manager.py::test_a_callback_is_told_once"
    ),
    "context_manager: a sync that failed does not say why": (
        "unit/test_replies.py::test_the_state_of_transfers_is_json_in_json"
    ),
    "context_manager: bind succeeds whatever came": (
        "unit/test_context_manager.py::test_bind_tells_that_files_did_not_arrive"
    ),
    "context_manager: a blocking sync cannot be awaited": (
        "unit/test_context_manager.py::test_the_result_of_a_blocking_sync_can_be_awaited"
    ),
    # -- modules: extension, mobile simulate, browser, skills
    "extension: a constructor calls the service": (
        "unit/test_extension.py::test_nothing_is_sent_until_the_context_is_needed"
    ),
    "extension: an identifier is used as a name": (
        "unit/test_extension.py::test_a_name_is_looked_up_as_a_name_and_an_identifier_as_one"
    ),
    "extension: the list ends after 100": (
        "unit/test_extension.py::test_all_pages_of_extensions_are_listed"
    ),
    "extension: update takes any file": (
        "unit/test_extension.py::test_a_file_that_is_missing_or_no_zip_is_refused"
    ),
    "extension: cleanup deletes a context of the user": (
        "unit/test_extension.py::test_cleanup_leaves_a_context_that_was_asked_for"
    ),
    "extension: cleanup makes a context to delete it": (
        "unit/test_extension.py::test_cleanup_makes_no_context_in_order_to_delete_it"
    ),
    "extension: cleanup that failed is True": (
        "unit/test_extension.py::test_cleanup_deletes_a_context_of_its_own_and_tells_when_it_cannot"
    ),
    "mobile_simulate: a path with two slashes": (
        "unit/test_mobile.py"
        "::test_facts_in_a_context_of_the_user_have_one_slash_and_are_let_through"
    ),
    "mobile_simulate: has_mobile_info fails with AttributeError": (
        "unit/test_mobile.py::test_a_context_that_cannot_be_read_is_an_error"
    ),
    "browser: False without a reason": (
        "unit/test_browser.py::test_a_browser_that_does_not_start_tells_why"
    ),
    "browser: a destroyed browser cannot be started": (
        "unit/test_browser.py::test_a_destroyed_browser_can_be_started_again"
    ),
    "browser: in a private network the port is None": (
        "unit/test_browser.py::test_a_private_network_reaches_the_port_of_the_browser"
    ),
    "browser: from_map leaves parts as dictionaries": (
        "unit/test_browser.py::test_an_option_with_all_its_parts_is_read_back_from_its_map"
    ),
    "browser: a path of Windows in the option": (
        "unit/test_browser.py::test_the_place_of_a_fingerprint_is_one_of_the_session"
    ),
    "browser: a session that was found has no browser": (
        "unit/test_browser.py::test_a_browser_that_another_program_started_can_be_used"
    ),
    "browser: a screenshot leaves another viewport": (
        "unit/test_browser.py::test_the_viewport_is_put_back"
    ),
    "browser: coroutine callbacks are not awaited": (
        "unit/test_browser_messages.py::test_a_coroutine_function_is_awaited_and_may_answer"
    ),
    "browser: a message that was not sent is True": (
        "unit/test_browser_messages.py::test_without_a_connection_the_answer_is_false_with_a_reason"
    ),
    "beta: metadata raises errors of the transport": (
        "unit/test_skills.py::test_metadata_that_cannot_be_read_raises"
    ),
    "beta: list_metadata is gone": "unit/test_skills.py::test_all_skills_are_listed",
    "exceptions, logging: importing has side effects": (
        "test_package.py::test_importing_does_nothing"
    ),
    "logging: keys are logged": (
        "unit/test_replies.py::test_the_key_is_in_no_error_result_repr_or_log"
    ),
    "results: tools lost their description and schema": (
        "unit/test_replies.py::test_data_may_come_as_json_text"
    ),
    "ws_protocol: the address with its token is logged": (
        "unit/test_websocket_life.py::test_no_secret_is_in_a_log_or_a_repr"
    ),
    "ws_protocol: a callback that raises ends the connection": (
        "unit/test_websocket_pushes.py::test_a_callback_that_raises_gets_the_next_message"
    ),
    # -- tools
    "agent: a limit below 3 s never looks": (
        "unit/test_agent.py::test_a_time_limit_below_the_interval_still_looks"
    ),
    "agent: one bad look ends the wait": (
        "unit/test_agent.py::test_trouble_on_the_way_does_not_end_the_wait"
    ),
    "agent: a task is not stopped at its limit": (
        "unit/test_agent.py"
        "::test_a_task_that_runs_out_of_time_is_ended_once_and_keeps_what_it_brought"
    ),
    "agent: output is written to stdout": "unit/test_agent.py::test_nothing_is_printed",
    "application: the key for system apps is unknown to services": (
        "unit/test_application.py"
        "::test_the_system_apps_are_left_out_under_the_name_that_the_service_reads"
    ),
    "application: ApplicationError is never raised": (
        "unit/test_application.py::test_a_tool_that_fails_gives_a_failed_result_with_its_reason"
    ),
    "application: a list of another shape is an AttributeError": (
        "unit/test_application.py::test_a_list_that_makes_no_sense_is_a_failure"
    ),
    "application: correct calls warn": (
        "unit/test_application.py::test_the_programs_of_the_first_generation_get_no_warning"
    ),
    "code: an execution error has no error_message": (
        "unit/test_code.py::test_an_execution_error_is_a_failure_with_a_message"
    ),
    "code: an error beside the results is a success": (
        "unit/test_code.py::test_an_error_among_the_logs_is_a_failure_however_it_is_marked"
    ),
    "code: an object that was printed is an unknown format": (
        "unit/test_code.py::test_an_object_that_the_code_printed_is_its_output"
    ),
    "command: run and data are missing": (
        "contract/test_command.py::test_the_documented_example_works"
    ),
    "command: a failure has no error_message, and its exit code is lost": (
        "unit/test_replies.py::test_every_form_of_a_command_s_reply_is_read"
    ),
    "command: output that is JSON is lost": (
        "contract/test_command.py::test_output_that_looks_like_a_reply_is_output"
    ),
    "command: a blank command and a negative limit are sent": (
        "contract/test_command.py::test_a_time_limit_that_makes_no_sense_is_refused_before_sending"
    ),
    "command: a background process blocks": (
        "contract/test_command.py::test_a_background_process_returns_at_once_and_stays"
    ),
    "computer: position and size cannot be indexed": (
        "unit/test_computer.py"
        "::test_a_position_is_json_text_for_old_programs_and_an_object_for_others"
    ),
    "computer: Return is refused": (
        "unit/test_computer.py::test_the_return_key_is_sent_as_the_service_names_it"
    ),
    "computer: release_keys takes other names than press_keys": (
        "unit/test_computer.py::test_keys_are_released_under_the_names_they_were_pressed_with"
    ),
    "computer: each screenshot works on some sessions only": (
        "unit/test_computer.py::test_either_screenshot_is_asked_for_on_any_session"
    ),
    "computer: windows have no title": (
        "unit/test_window.py::test_a_window_has_its_title_under_either_name"
    ),
    "computer: get_active_window takes no limit": (
        "unit/test_window.py::test_a_time_limit_may_be_given_by_its_place_or_name"
    ),
    "window: empty text is a failure": "unit/test_window.py::test_no_windows_are_an_empty_list",
    "env: text that cannot be read is an empty success": (
        "unit/test_env.py::test_variables_that_cannot_be_read_are_a_failure"
    ),
    "env: names are not checked": (
        "unit/test_env.py::test_bad_names_are_refused_before_anything_is_sent"
    ),
    "file_system: names lose marks that are inside": (
        "properties/test_wire.py::test_an_odd_name_survives"
    ),
    "file_system: no file is a file": (
        "contract/test_file_system.py::test_a_directory_is_listed_with_kinds"
    ),
    "file_system: a line --- inside a file ends it": (
        "properties/test_wire.py::test_the_texts_of_several_files_survive"
    ),
    "file_system: a file that tells no size is empty": (
        "contract/test_file_system.py::test_a_file_of_the_kernel_is_read_whole"
    ),
    "file_system: bytes cannot be written": (
        "contract/test_file_system.py::test_bytes_of_any_size_are_kept"
    ),
    "file_system: a search without matches fails": (
        "unit/test_replies.py::test_a_search_without_matches_succeeds"
    ),
    "file_system: the difference of an edit is lost": (
        "contract/test_file_system.py::test_a_dry_run_shows_the_difference_and_changes_nothing"
    ),
    "file_system: progress of an upload is not told": (
        "unit/test_file_transfer.py::test_progress_is_told_in_bytes_so_far"
    ),
    "file_system: a transfer waits although wait is False": (
        "unit/test_file_transfer.py::test_nobody_waits_who_does_not_want_to"
    ),
    "file_system: wait_timeout does not hold": (
        "unit/test_file_transfer.py::test_the_wait_has_the_limit_that_was_asked_for"
    ),
    "file_system: a failed transfer without a message is waited for": (
        "unit/test_file_transfer.py::test_a_transfer_that_failed_without_a_message_ends_at_once"
    ),
    "file_system: overwrite is checked last": (
        "unit/test_file_transfer.py::test_a_file_that_is_there_is_kept_unless_it_may_be_overwritten"
    ),
    "file_system: a watch tells what was there before": (
        "unit/test_watch.py::test_changes_come_as_they_are_found_and_what_was_before_does_not"
    ),
    "git: any 403 and Permission denied are errors of authentication": (
        "unit/test_git.py::test_a_failure_has_the_class_of_its_reason"
    ),
    "git: conflicts are on standard output": (
        "unit/test_git.py::test_remotes_pulls_and_conflicts_work"
    ),
    "git: some commits have no hash": (
        "unit/test_git.py::test_the_hash_of_a_commit_is_found_on_any_branch"
    ),
    "git: quoted paths stay quoted": (
        "unit/test_git.py::test_a_file_of_a_status_is_read_with_its_real_name"
    ),
    "git: a branch named detached is none": ("unit/test_git.py::test_the_head_of_a_status_is_read"),
    "git: the global scope needs a repository": (
        "unit/test_git.py::test_a_method_runs_its_command"
    ),
    "git: quotes of Windows": ("unit/test_git.py::test_the_shell_of_windows_gets_double_quotes"),
    "mobile: a format is checked after the call": (
        "unit/test_mobile.py::test_an_unknown_format_is_refused_before_the_call"
    ),
    "mobile: the short names of keys are gone": (
        "unit/test_mobile.py::test_both_families_of_key_names_are_known"
    ),
    "mobile: a png is sent a quality": (
        "unit/test_mobile.py::test_the_quality_of_a_png_is_not_sent"
    ),
    "mobile: True is a number of screens": (
        "unit/test_mobile.py::test_a_bad_picture_is_refused_before_the_call"
    ),
    "mobile: a list cannot be cleared": "unit/test_mobile.py::test_a_list_can_be_cleared",
    "mobile: a setting that fails is only logged": (
        "unit/test_mobile.py::test_a_setting_that_fails_is_told"
    ),
    "mobile: a process has its name under another key": (
        "unit/test_mobile.py::test_apps_and_processes_are_read_in_both_spellings"
    ),
    "oss: client_config is text": ("unit/test_oss.py::test_client_config_is_always_a_dictionary"),
    "oss: the token has two names": (
        "unit/test_oss.py::test_the_credentials_are_sent_under_either_name"
    ),
    "oss: a transfer that failed is a success": (
        "unit/test_oss.py::test_a_transfer_that_fails_is_a_failure_however_it_is_told"
    ),
    "pty: wait does not end after kill": (
        "unit/test_pty.py::test_a_kill_ends_the_wait_of_a_session_that_does_not_tell"
    ),
    "pty: on_data blocks everything": (
        "unit/test_pty.py::test_a_slow_callback_does_not_stop_other_terminals"
    ),
    "session: an address that is empty is a success": (
        "unit/test_replies.py::test_a_success_without_what_was_asked_for_is_a_failure"
    ),
    "session: limits in seconds are taken for milliseconds": (
        "unit/test_routes.py::test_the_time_limit_is_in_seconds_and_holds_on_the_link"
    ),
    "session: labels that cannot be used raise no SessionError": (
        "contract/test_sessions.py::test_labels_that_cannot_be_used_are_refused_before_sending"
    ),
    "session: listed tools are not remembered": (
        "contract/test_sessions.py::test_the_server_of_a_tool_is_known"
    ),
    "session: figures have three spellings": (
        "unit/test_lifecycle.py::test_figures_are_read_under_every_name"
    ),
    "ui: bounds have three forms": (
        "unit/test_ui.py::test_the_bounds_of_an_element_are_read_in_every_form"
    ),
}


@cache
def _tests_of(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


@pytest.mark.parametrize("defect", _TESTED)
def test_a_defect_that_is_tested_elsewhere_has_its_test(defect: str) -> None:
    file, _, name = _TESTED[defect].partition("::")
    assert name in _tests_of(file)


# -- the list of the protocol ----------------------------------------------------------


async def test_a_lost_connection_shows_no_key(caplog: pytest.LogCaptureFixture) -> None:
    """P1"""
    caplog.set_level(logging.DEBUG)

    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    result = await session_of(httpx.MockTransport(broken)).context.sync()
    assert isinstance(result.error, TransportError)
    shown = [_everything(result.error), repr(result)]
    shown += [record.getMessage() + repr(record.args) for record in caplog.records]
    assert KEY not in "\n".join(shown)


async def test_finding_a_session_logs_none_of_its_credentials(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """P2"""
    caplog.set_level(logging.DEBUG)
    data = {
        "SessionId": "s-1",
        "Token": "tok-1",
        "LinkUrl": "https://l/tok-1",
        "WsUrl": "wss://w/tok-1",
        "ResourceUrl": "https://r/tok-1",
    }
    assert (await client(Service(always(lambda: ok(data)))).get("s-1")).success
    assert "tok-1" not in "\n".join(record.getMessage() for record in caplog.records)


def test_no_host_is_named_but_those_of_the_service() -> None:
    """P4: nothing is reported to anyone. What is sent goes to an address that was given."""
    package = Path(agentbay.__file__).parent
    hosts: set[str] = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = node.value.split()
                if len(words) == 1 and ".aliyun" in words[0]:
                    hosts.add(str(path.relative_to(package)))
    assert hosts == {"_config.py"}


_SYNC = CreateSessionParams(
    context_syncs=[ContextSync("c-1", "/p"), ContextSync("c-2", "/q")],
)


def _transfer(context_id: str, status: str) -> dict[str, Any]:
    return {"contextId": context_id, "path": "/p", "status": status, "taskType": "download"}


def _account(*transfers: dict[str, Any], **replies: Callable[[], httpx.Response]) -> Service:
    status = json.dumps([{"type": "data", "data": json.dumps(transfers)}])
    return Service(
        by_action(
            {
                "CreateMcpSession": lambda: ok({"SessionId": "s-1"}),
                "GetContextInfo": lambda: ok({"ContextStatus": status}),
                **replies,
            }
        )
    )


async def test_contexts_that_do_not_arrive_fail_create(monkeypatch: pytest.MonkeyPatch) -> None:
    """P15, client: and nothing is left of the session."""
    monkeypatch.setattr("agentbay._async.client._CONTEXT_LIMIT", 0.05)
    service = _account(_transfer("c-1", "Success"))
    with anyio.fail_after(10):
        result = await client(service).create(_SYNC)
    assert not result.success
    assert "c-2" in result.error_message
    assert service.actions[-1] == "ReleaseMcpSession"


async def test_a_context_that_fails_to_arrive_fails_create() -> None:
    """P15, client."""
    service = _account(_transfer("c-1", "Success"), _transfer("c-2", "Failed"))
    result = await client(service).create(_SYNC)
    assert not result.success
    assert "c-2" in result.error_message
    assert service.actions[-1] == "ReleaseMcpSession"


async def test_a_create_that_fails_midway_leaves_no_session() -> None:
    """client: the session that the service had made was lost."""
    service = _account(GetContextInfo=lambda: httpx.Response(400, json={"Code": "X.Y"}))
    result = await client(service).create(_SYNC)
    assert (result.success, result.code) == (False, "X.Y")
    assert service.actions[-1] == "ReleaseMcpSession"
    assert service.sent[-1].form["SessionId"] == "s-1"


def test_everything_can_be_imported_at_once() -> None:
    """P17, client: `__all__` named what did not exist."""
    names: dict[str, object] = {}
    exec("from agentbay import *", names)
    assert set(agentbay.__all__) <= set(names)


async def test_every_piece_of_an_answer_is_kept() -> None:
    """P19: pieces after the first were dropped."""
    pieces = [{"type": "text", "text": "a"}, {"type": "image", "data": "aGk="}]
    for service, data in (
        (Service(always(lambda: ok({"content": pieces}))), SessionData("s-1")),
        (
            Service(always(lambda: httpx.Response(200, json={"result": {"content": pieces}}))),
            SessionData("s-1", token="t", link_url="https://link.test"),
        ),
    ):
        reply = await send_tool(data, "server", "x", {}, client=client(service).client)
        assert (reply.value.text, reply.value.pieces) == ("a", pieces)


async def test_params_can_be_used_again() -> None:
    """P20, client: each use added contexts to them."""
    params = CreateSessionParams(labels={"a": "b"}, image_id="linux_latest")
    service = _account()
    bay = client(service)
    for _ in range(2):
        assert (await bay.create(params)).success
    first, second = (sent.parameters for sent in service.sent)
    labels = [json.loads(sent.pop("Labels")) for sent in (first, second)]
    assert [users_labels(each) for each in labels] == [{"a": "b"}] * 2
    assert labels[0] != labels[1], "each request has a label of its own"
    assert first == second
    assert params == CreateSessionParams(labels={"a": "b"}, image_id="linux_latest")
    assert params.context_syncs == []


async def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """P21: calls to this machine went to the proxy."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            body = b'{"RequestId": "r-1", "Success": true, "Data": {}}'
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            await stream.send(head.encode() + body)

    found: list[str] = []
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, serve)
            async with AsyncAgentBay(KEY, endpoint=f"http://127.0.0.1:{port}") as bay:
                found.append((await AsyncSession(bay, "s-1").get_labels()).request_id)
            group.cancel_scope.cancel()
    await listener.aclose()
    assert found == ["r-1"]


# -- modules ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
async def test_a_refusal_without_a_code_is_none_the_less_one(name: str) -> None:
    """overview: Success=false with an empty Code counted as success."""
    body = {"RequestId": "r-7", "Success": False, "Code": "", "Message": "no", "Data": None}
    error = await _failure(name, Service(always(lambda: httpx.Response(200, json=body))))
    assert isinstance(error, APIError)
    assert (str(error), error.request_id) == ("no", "r-7")


async def test_a_status_may_be_given_as_the_enum() -> None:
    """client: only its text was taken."""
    service = Service(always(lambda: ok([])))
    assert (await client(service).list(status=SessionStatus.RUNNING)).success
    assert service.sent[0].form["Status"] == "RUNNING"


def test_a_blocking_program_can_add_skills() -> None:
    """beta: the blocking form sent nothing, and said that it failed."""
    service = Service(always(ok))
    bay = AgentBay(KEY, endpoint="service.test", transport=service)
    item = {"context_id": "c", "skill_ids": ["a"], "path": "/p"}
    assert bay.beta_skills.bind_context([item]).success
    assert service.actions == ["BindContextSkillAsync"]
    bay.close()


def test_importing_the_package_changes_no_logger_and_writes_no_file(tmp_path: Path) -> None:
    """logging: a log file was written where the program was started."""
    script = (
        "import logging; before = list(logging.root.handlers), logging.root.level\n"
        "import agentbay; agentbay.AgentBay, agentbay.AsyncSession\n"
        "assert before == (list(logging.root.handlers), logging.root.level)\n"
        "assert not logging.getLogger('agentbay').handlers\n"
    )
    root = str(Path(agentbay.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


# -- of our own ------------------------------------------------------------------------


def test_no_kind_of_internal_context_is_not_the_default_kind() -> None:
    with pytest.raises(InvalidInputError):
        LoadInternalContexts("s-1", [])


@pytest.mark.parametrize("value", ["x", 0, -1, True, 1.5])
@pytest.mark.parametrize("name", ["page_number", "page_size", "max_results"])
def test_a_page_is_a_positive_number(name: str, value: Any) -> None:
    arguments: dict[str, Any] = {"context_id": "c", "parent_folder_path": "/", name: value}
    with pytest.raises(InvalidInputError, match=name):
        ListContextFiles(**arguments)


def test_what_the_client_does_itself_is_not_sent() -> None:
    device = MobileSimulateConfig(True, "/d", None, "c-1")
    request = CreateSession(extra_configs=ExtraConfigs(MobileExtraConfig(simulate_config=device)))
    assert request.form() == {}


@pytest.mark.parametrize(
    "mobile",
    [
        MobileExtraConfig(app_manager_rule=AppManagerRule("white", ["com.a"])),
        MobileExtraConfig(app_manager_rule=AppManagerRule(None, ["com.a"])),
        MobileExtraConfig(app_manager_rule=AppManagerRule("White", ["com.a;reboot"])),
        MobileExtraConfig(uninstall_blacklist=["com.a\nEOF"]),
        MobileExtraConfig(simulate_config=MobileSimulateConfig(True, "relative")),
    ],
)
async def test_settings_that_cannot_be_made_are_refused_before_there_is_a_session(
    mobile: MobileExtraConfig,
) -> None:
    service = _account()
    params = CreateSessionParams(image_id="mobile_latest", extra_configs=ExtraConfigs(mobile))
    result = await client(service).create(params)
    assert isinstance(result.error, InvalidInputError)
    assert service.requests == []


@pytest.mark.parametrize("user", ["u:p-secret@", "u:p@-secret@", "u-secret@"])
async def test_no_part_of_a_password_is_in_an_error_of_git(user: str) -> None:
    text = json.dumps(
        {"exit_code": 128, "stdout": "", "stderr": f"fatal: https://{user}host.test/a.git: no"}
    )
    session = session_of(Service(always(lambda: tool_says(text))))
    with pytest.raises(GitError) as caught:
        await session.git.clone("https://host.test/a.git")
    assert "secret" not in _everything(caught.value)
    assert "host.test/a.git" in str(caught.value)


_SECRET = "tok-5e6f7a8b"
_NONSENSE: dict[str, Any] = {
    "text": _SECRET,
    "a list": [_SECRET],
    "an object": {"SessionId": [_SECRET], "Url": [_SECRET], "Token": {"x": _SECRET}},
    "broken text": '{"Token": "' + _SECRET,
    "a number": {"Data": _SECRET, "Port": _SECRET, "TotalCount": _SECRET},
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("what", _NONSENSE)
async def test_a_reply_that_makes_no_sense_is_in_no_error(name: str, what: str) -> None:
    """A reply may hold credentials, and errors are logged."""
    service = Service(always(lambda: ok(_NONSENSE[what], TotalCount=_SECRET)))
    error: AgentBayError | None
    try:
        error = (await METHODS[name](session_of(service))).error
    except AgentBayError as exc:
        error = exc
    assert _SECRET not in _everything(error)


@pytest.mark.parametrize("text", [_SECRET, f'["{_SECRET}"]', f'{{"x": "{_SECRET}"}}'])
@pytest.mark.parametrize(
    "name", ["env.get", "list_root_windows", "ui.get_all_ui_elements", "get_cursor_position"]
)
async def test_an_answer_of_a_tool_that_makes_no_sense_is_in_no_error(name: str, text: str) -> None:
    session = session_of(Service(always(lambda: tool_says(text))))
    calls: dict[str, Callable[[], Any]] = {
        "env.get": session.env.get,
        "list_root_windows": session.computer.list_root_windows,
        "ui.get_all_ui_elements": session.ui.get_all_ui_elements,
        "get_cursor_position": session.computer.get_cursor_position,
    }
    result = await calls[name]()
    assert _SECRET not in _everything(result.error)
