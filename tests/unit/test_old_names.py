"""What programs of earlier generations of the vendor's package write, and still may."""

from __future__ import annotations

import copy
import os
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from agentbay import (
    AgentBayError,
    APIError,
    BetaContextMount,
    BWList,
    CommandError,
    Config,
    ConfigError,
    ContextSync,
    DeleteResult,
    DownloadPolicy,
    DownloadStrategy,
    ExtractPolicy,
    GetSessionData,
    InvalidInputError,
    ListSessionParams,
    MappingPolicy,
    OperationResult,
    SessionId,
    SessionMetrics,
    SessionResult,
    SyncPolicy,
    UploadPolicy,
    UploadStrategy,
    WhiteList,
    extract_request_id,
)
from agentbay.agentbay import generate_random_context_name
from agentbay.config import (
    default_config,
    find_dotenv_file,
    load_config,
    load_dotenv_with_fallback,
)
from agentbay.deprecation import deprecated
from agentbay.protocol._wire import decode
from agentbay.protocol.session_details import SessionPage, SessionSummary
from agentbay.protocol.sessions import SessionData, ToolServer

# -- policies --------------------------------------------------------------------------------

# What the vendor's current package sends for a policy that says nothing.
FULL: dict[str, Any] = {
    "uploadPolicy": {
        "autoUpload": True,
        "uploadStrategy": "UploadBeforeResourceRelease",
        "uploadMode": "File",
    },
    "downloadPolicy": {"autoDownload": True, "downloadStrategy": "DownloadAsync"},
    "deletePolicy": {"syncLocalFile": True},
    "extractPolicy": {"extract": True, "deleteSrcFile": True, "extractToCurrentFolder": False},
    "recyclePolicy": {"lifecycle": "Lifecycle_Forever", "paths": [""]},
    "bwList": {
        "whiteLists": [
            {"path": "", "excludePaths": [], "isPathRegex": False, "isExcludeRegex": False}
        ]
    },
}


def test_a_policy_can_be_written_as_a_mapping_in_two_ways() -> None:
    policy: Any = SyncPolicy.default()
    assert policy.to_dict() == FULL
    assert policy.__dict__() == FULL
    assert decode(SyncPolicy, FULL) == policy
    assert MappingPolicy.default().to_dict() == {"path": ""}


def test_a_policy_can_be_copied_and_pickled() -> None:
    policy = SyncPolicy(mapping_policy=MappingPolicy("/home"))
    assert copy.deepcopy(policy) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_the_names_that_the_guides_show_can_be_used() -> None:
    made: Any = SyncPolicy
    upload = UploadPolicy(upload_strategy=UploadStrategy.BEFORE_RESOURCE_RELEASE)
    download = DownloadPolicy(download_strategy=DownloadStrategy.ASYNC)
    policy = made(upload=upload, download=download, white_list=[WhiteList("/a")])
    assert policy == SyncPolicy(upload, download, bw_list=BWList([WhiteList("/a")]))
    assert made(white_list=WhiteList("/a")) == made(bw_list=BWList([WhiteList("/a")]))
    extract: Any = ExtractPolicy
    assert extract(extract_to_current_folder=True) == ExtractPolicy(extract_current_folder=True)


def test_an_argument_cannot_be_given_under_both_of_its_names() -> None:
    made: Any = SyncPolicy
    with pytest.raises(TypeError, match="upload and upload_policy"):
        made(upload=None, upload_policy=None)


def test_an_alias_of_a_strategy_is_the_strategy() -> None:
    alias = UploadStrategy.__members__["BEFORE_RESOURCE_RELEASE"]
    assert alias is UploadStrategy.UPLOAD_BEFORE_RESOURCE_RELEASE
    assert len(UploadStrategy) == len(DownloadStrategy) == 1


def test_with_policy_changes_the_object_that_it_is_called_on() -> None:
    sync, policy = ContextSync.new("c", "/p"), SyncPolicy()
    assert sync.with_policy(policy) is sync
    assert sync.policy is policy


def test_the_parts_of_a_mount_can_be_set_one_after_the_other() -> None:
    mount = BetaContextMount.new("c", "/p")
    mount.with_access_mode("readOnly")
    mount.with_strategy("performance")
    assert mount.with_source_path("/src") is mount
    assert mount == BetaContextMount.new("c", "/p", "readOnly", "performance", "/src")


# -- results ---------------------------------------------------------------------------------


def test_an_entry_of_a_list_is_text_and_answers_as_a_mapping() -> None:
    entry = SessionId.of(SessionSummary("s-1", "PAUSED", "app", "linux_latest"))
    assert entry == "s-1"
    assert entry[0] == "s"
    assert entry[2:] == "1"
    assert "sessionId" in entry
    assert "s-" in entry
    assert "x" not in entry
    assert dict(entry) == {
        "sessionId": "s-1",
        "sessionStatus": "PAUSED",
        "appInstanceId": "app",
        "imageId": "linux_latest",
    }
    assert entry.get("sessionStatus") == "PAUSED"
    assert (entry.get("nonsense"), entry.get("nonsense", 1)) == (None, 1)
    with pytest.raises(KeyError):
        entry["nonsense"]


def test_metrics_know_the_names_that_they_had() -> None:
    old: Any = SessionMetrics
    metrics = old(rx_rate_kbps=1.0, tx_rate_kbps=2.0, rx_used_kb=3.0, tx_used_kb=4.0)
    assert metrics == SessionMetrics(
        rx_rate_kbyte_per_s=1.0, tx_rate_kbyte_per_s=2.0, rx_used_kbyte=3.0, tx_used_kbyte=4.0
    )
    assert (metrics.rx_rate_kbps, metrics.tx_used_kb) == (1.0, 4.0)


def test_a_failed_result_tells_the_message_and_the_status() -> None:
    error = APIError("no", 403, code="Forbidden", request_id="r")
    result = DeleteResult.failed(error)
    assert (result.message, result.http_status_code, result.code) == ("no", 403, "Forbidden")
    other = OperationResult[None].failed(AgentBayError("no"))
    assert (other.message, other.http_status_code) == ("no", 0)
    made = OperationResult("r", True, "data", message="ok", http_status_code=200)
    assert (made.message, made.http_status_code) == ("ok", 200)


def test_a_mapped_result_keeps_all_that_it_tells() -> None:
    result = SessionResult[int].failed(APIError("no", 403, code="Forbidden"))
    mapped = result.mapped(str)
    assert (mapped.http_status_code, mapped.code, mapped.error) == (403, "Forbidden", result.error)
    assert SessionResult("r", True, 1).mapped(str).session == "1"


def test_what_is_known_about_a_session_is_taken_over() -> None:
    data = SessionData(
        "s-1", token="secret", status="RUNNING", tool_list=[ToolServer("shell", "wuying_shell")],
        contexts=[{"id": "c", "name": "n"}],
    )  # fmt: skip
    known = GetSessionData.of(data)
    assert (known.session_id, known.status, known.success) == ("s-1", "RUNNING", True)
    assert known.tool_list == '[{"name":"shell","server":"wuying_shell"}]'
    assert known.contexts == [{"id": "c", "name": "n"}]
    assert known.token == "secret"
    assert "secret" not in repr(known)
    assert GetSessionData.of(SessionData()).tool_list == ""


def test_the_contexts_of_a_session_are_read() -> None:
    assert decode(SessionData, {"contexts": [{"id": "c"}]}).contexts == [{"id": "c"}]


def test_the_page_of_a_list_starts_with_defaults() -> None:
    params = ListSessionParams()
    assert (params.max_results, params.next_token, params.labels) == (10, "", {})
    with pytest.raises(InvalidInputError):
        ListSessionParams(labels={"": "x"})


@pytest.mark.parametrize(
    "response",
    [
        {"body": {"RequestId": "r-1"}},
        {"RequestId": "r-1"},
        DeleteResult("r-1"),
        type("Response", (), {"body": {"RequestId": "r-1"}}),
    ],
)
def test_the_request_id_of_a_reply_is_found(response: object) -> None:
    assert extract_request_id(response) == "r-1"


@pytest.mark.parametrize("response", [None, "r-1", {}, {"body": None}, {"body": {"RequestId": 1}}])
def test_what_is_no_reply_has_no_request_id(response: object) -> None:
    assert extract_request_id(response) == ""


def test_an_error_takes_further_values() -> None:
    assert APIError("no", 403, "more").args == ("no", "more")
    assert CommandError("no", "more", exit_code=1).args == ("no", "more")


# -- settings --------------------------------------------------------------------------------


def test_the_settings_of_a_client_can_be_looked_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTBAY_ENDPOINT", raising=False)
    monkeypatch.delenv("AGENTBAY_REGION_ID", raising=False)
    assert load_config(None) == default_config()
    assert load_config(Config("host:1", 1500)) == {
        "endpoint": "host:1",
        "timeout_ms": 1500,
        "region_id": "cn-hangzhou",
    }


def test_a_file_of_settings_is_found_above_and_put_into_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("AGENTBAY_REGION_ID=us-east-1\nAGENTBAY_API_KEY=file\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    monkeypatch.setenv("AGENTBAY_API_KEY", "mine")
    monkeypatch.setenv("AGENTBAY_REGION_ID", "gone")
    monkeypatch.delenv("AGENTBAY_REGION_ID")
    assert find_dotenv_file() == tmp_path / ".env"
    assert find_dotenv_file(below) == tmp_path / ".env"
    load_dotenv_with_fallback(str(tmp_path / "missing"))
    assert os.environ["AGENTBAY_REGION_ID"] == "us-east-1"
    assert os.environ["AGENTBAY_API_KEY"] == "mine"


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_dotenv_with_fallback(str(path))


def test_random_names_differ_and_begin_with_the_time_when_asked_to() -> None:
    first, second = generate_random_context_name(), generate_random_context_name()
    assert first != second
    assert re.fullmatch(r"\d{14}_[A-Za-z0-9]{8}", first)
    assert re.fullmatch(r"[A-Za-z0-9]{4}", generate_random_context_name(4, include_timestamp=False))


def test_a_deprecated_function_warns_and_works() -> None:
    @deprecated("it is slow", replacement="fast", version="2.0")
    def slow(value: int) -> int:
        """Count slowly."""
        return value + 1

    with pytest.warns(DeprecationWarning, match="slow is deprecated since version 2.0: it is slow"):
        assert slow(1) == 2
    assert slow.__doc__ is not None
    assert slow.__doc__.startswith("Count slowly.")
    assert "Use fast." in slow.__doc__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert slow(value=2) == 3


def test_a_page_that_does_not_tell_its_size_has_the_size_that_was_asked_for() -> None:
    from agentbay import SessionListResult

    result = SessionListResult.of("r", SessionPage([SessionSummary("s")], "next", 0, 7), 20)
    assert (result.request_id, result.success, result.session_ids) == ("r", True, ["s"])
    assert (result.next_token, result.max_results, result.total_count) == ("next", 20, 7)
