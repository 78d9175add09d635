"""Showing what the package logs, and the logging helpers of existing programs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path

import pytest

from agentbay import (
    AgentBayLogger,
    InvalidInputError,
    get_logger,
    log,
    log_api_response_with_details,
    mask_sensitive_data,
)
from agentbay import logger as helpers


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The logger as it was found."""
    monkeypatch.delenv("AGENTBAY_LOG_FILE", raising=False)
    level = log.level
    yield
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    log.setLevel(level)


def test_all_loggers_are_below_that_of_the_package() -> None:
    assert get_logger() is log is logging.getLogger("agentbay")
    assert get_logger("agentbay.x").name == AgentBayLogger.get_logger("x").name == "agentbay.x"
    assert AgentBayLogger.get_logger() is log


def test_setup_shows_messages_on_the_console_and_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = list(logging.getLogger().handlers)
    AgentBayLogger.setup("info", log_file=tmp_path / "a.log")
    logging.getLogger("agentbay._transport").info("hello")
    logging.getLogger("agentbay._transport").debug("too much")
    shown, kept = capsys.readouterr().err, (tmp_path / "a.log").read_text()
    assert "| AgentBay | INFO | " in shown
    assert shown.endswith("| hello\n")
    assert shown == kept
    assert logging.getLogger().handlers == root


def test_no_file_is_written_unless_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    AgentBayLogger.setup()
    assert len(log.handlers) == 1
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("AGENTBAY_LOG_FILE", str(tmp_path / "b.log"))
    AgentBayLogger.setup(enable_console=False)
    assert [path.name for path in tmp_path.iterdir()] == ["b.log"]


def test_a_second_setup_replaces_the_first_one_unless_told_not_to() -> None:
    AgentBayLogger.setup()
    (first,) = log.handlers
    AgentBayLogger.setup(force_reinit=False)
    assert log.handlers == [first]
    AgentBayLogger.setup()
    assert len(log.handlers) == 1
    assert log.handlers != [first]


@pytest.mark.parametrize(("size", "limit"), [("10 MB", 10 << 20), ("1kb", 1 << 10)])
def test_a_file_is_rotated_by_its_size(tmp_path: Path, size: str, limit: int) -> None:
    AgentBayLogger.setup(log_file=tmp_path / "a", rotation="1 day", max_file_size=size)
    assert vars(log.handlers[0])["maxBytes"] == limit


def test_a_file_is_rotated_by_time(tmp_path: Path) -> None:
    AgentBayLogger.setup(log_file=tmp_path / "a", rotation="2 weeks")
    handler = log.handlers[0]
    assert isinstance(handler, TimedRotatingFileHandler)
    assert handler.interval == 14 * 24 * 3600


@pytest.mark.parametrize("rotation", ["often", "0 MB", "3 moons"])
def test_a_setup_that_makes_no_sense_is_refused_and_changes_nothing(
    tmp_path: Path, rotation: str
) -> None:
    with pytest.raises(InvalidInputError, match="rotation"):
        AgentBayLogger.setup(log_file=tmp_path / "a", rotation=rotation)
    with pytest.raises(InvalidInputError, match="LOUD"):
        AgentBayLogger.setup("LOUD")
    assert log.handlers == []


def test_the_level_can_be_changed_and_the_rest_stays(capsys: pytest.CaptureFixture[str]) -> None:
    AgentBayLogger.setup("ERROR")
    AgentBayLogger.set_level("DEBUG")
    log.debug("seen")
    assert "seen" in capsys.readouterr().err


def test_warnings_are_coloured_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    AgentBayLogger.setup(colorize=True)
    helpers.log_warning("careful")
    log.info("plain")
    warned, plain = capsys.readouterr().err.splitlines()
    assert f"{helpers.COLOR_YELLOW}careful" in warned
    assert "\x1b" not in plain


def test_what_may_be_a_secret_is_masked_wherever_it_is() -> None:
    data = {
        "API_KEY": "akm-123456",
        "nested": [{"access_token": "abcd", "name": "x"}],
        "Authorization": 12345678,
        "plain": "token",
    }
    assert mask_sensitive_data(data) == {
        "API_KEY": "ak****56",
        "nested": [{"access_token": "****", "name": "x"}],
        "Authorization": "****",
        "plain": "token",
    }
    assert mask_sensitive_data({"a": "secret", "token": "x"}, ["A"]) == {
        "a": "se****et",
        "token": "x",
    }
    assert mask_sensitive_data("text") == "text"


def test_the_helpers_log_and_never_show_secrets(caplog: pytest.LogCaptureFixture) -> None:
    secret = "akm-very-secret"
    with caplog.at_level(logging.DEBUG, "agentbay"):
        helpers.log_api_call("GetLink", f'{{"token": "{secret}"}}')
        helpers.log_api_response(f"Bearer {secret}", success=False)
        log_api_response_with_details("GetLink", "r-1", True, {"token": secret, "port": 1}, secret)
    assert secret not in caplog.text
    assert "GetLink r-1" in caplog.text
    assert [r.levelname for r in caplog.records] == ["INFO", "DEBUG", "ERROR", "INFO", "DEBUG"]


def test_the_helpers_of_an_operation_tell_how_it_went(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "agentbay"):
        helpers.log_operation_start("upload", "a.txt")
        helpers.log_operation_success("upload", "3 bytes")
        try:
            raise ValueError("disk")
        except ValueError as exc:
            helpers.log_operation_error("upload", str(exc), exc_info=True, request_id="r-1")
        helpers.log_code_execution_output("r-1", "42")
        helpers.log_info_with_color("red")
    assert [r.getMessage() for r in caplog.records] == [
        "begins: upload a.txt",
        "done: upload 3 bytes",
        "failed: upload r-1: disk",
        "r-1 printed: 42",
        f"{helpers.COLOR_RED}red{helpers.COLOR_RESET}",
    ]
    assert caplog.records[2].exc_info is not None
    assert caplog.records[2].exc_info[0] is ValueError
