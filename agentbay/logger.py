"""Show what the package logs, and the logging helpers that existing programs import.

The package logs to the logger ``agentbay`` of the standard library, nearly all of it at the level
``DEBUG``, and shows nothing by itself: importing this module changes nothing. Programs that set up
logging on their own need none of this.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from logging.handlers import RotatingFileHandler, TimedRotatingFileHandler
from typing import Any, cast

from agentbay import InvalidInputError

COLOR_RESET = "\x1b[0m"
COLOR_RED = "\x1b[31m"
COLOR_GREEN = "\x1b[32m"
COLOR_YELLOW = "\x1b[33m"
COLOR_BLUE = "\x1b[34m"
COLOR_MAGENTA = "\x1b[35m"
COLOR_CYAN = "\x1b[36m"

SENSITIVE_FIELDS = [
    "api_key",
    "apikey",
    "api-key",
    "password",
    "passwd",
    "pwd",
    "token",
    "access_token",
    "auth_token",
    "secret",
    "private_key",
    "authorization",
]

_FORMAT = (
    "%(asctime)s | AgentBay | %(levelname)s | %(module)s:%(funcName)s:%(lineno)d | %(message)s"
)
_COLORS = {"WARNING": COLOR_YELLOW, "ERROR": COLOR_RED, "CRITICAL": COLOR_RED}
_KEPT_FILES = 5
_UNITS = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_PERIODS = {"minute": ("M", 1), "hour": ("H", 1), "day": ("D", 1), "week": ("D", 7)}


def get_logger(name: str = "agentbay") -> logging.Logger:
    """The logger of that name, which is below ``agentbay``."""
    inside = name == "agentbay" or name.startswith("agentbay.")
    return logging.getLogger(name if inside else f"agentbay.{name}")


log: logging.Logger = get_logger()


class AgentBayLogger:
    """Show the log of the package on the console or in a file.

    Example:
        ```python
        AgentBayLogger.setup("DEBUG", log_file="agentbay.log")
        ```
    """

    @classmethod
    def setup(
        cls,
        level: str = "INFO",
        log_file: str | os.PathLike[str] | None = None,
        enable_console: bool = True,
        enable_file: bool = True,
        rotation: str | None = None,
        retention: str = "30 days",
        max_file_size: str | None = None,
        colorize: bool | None = None,
        force_reinit: bool = True,
    ) -> None:
        """Send what the package logs to the console, to a file, or to both.

        Only the logger ``agentbay`` is set up; that of the program is left as it is.

        Args:
            level: What is less urgent is left out.
            log_file: The file; ``AGENTBAY_LOG_FILE`` by default, and no file without either.
            enable_console: Whether to write to standard error.
            enable_file: Whether to write to the file.
            rotation: When to begin another file: a size such as ``"10 MB"``, which is the
                default, or a time such as ``"1 day"``.
            retention: Plays no part: the five latest files are kept.
            max_file_size: A size that comes before `rotation`.
            colorize: Whether warnings and errors are coloured; on a terminal by default.
            force_reinit: Whether to replace an earlier setup, rather than to keep it.

        Raises:
            InvalidInputError: The level, the size or the time makes no sense.
            OSError: The file cannot be written.
        """
        if log.handlers and not force_reinit:
            return
        cls.set_level(level)
        handlers: list[logging.Handler] = []
        path = log_file or os.environ.get("AGENTBAY_LOG_FILE")
        if enable_file and path:
            handlers.append(_file_handler(os.fspath(path), max_file_size or rotation or "10 MB"))
            handlers[0].setFormatter(logging.Formatter(_FORMAT))
        if enable_console:
            handlers.append(logging.StreamHandler())
            colored = sys.stderr.isatty() if colorize is None else colorize
            handlers[-1].setFormatter(_Colored(_FORMAT) if colored else logging.Formatter(_FORMAT))
        for old in list(log.handlers):
            log.removeHandler(old)
            old.close()
        for handler in handlers:
            log.addHandler(handler)

    @classmethod
    def get_logger(cls, name: str | None = None) -> logging.Logger:
        """The logger of that name, which is below ``agentbay``."""
        return get_logger(name or "agentbay")

    @classmethod
    def set_level(cls, level: str) -> None:
        """Leave out what is less urgent; the rest of the setup stays.

        Raises:
            InvalidInputError: There is no such level.
        """
        try:
            log.setLevel(level.upper())
        except ValueError as exc:
            raise InvalidInputError(f"there is no log level {level!r}") from exc


def mask_sensitive_data(data: Any, fields: Sequence[str] | None = None) -> Any:
    """A copy of the data in which values that may be secrets cannot be read.

    Args:
        data: A mapping, a list, or anything else, which is returned as it is.
        fields: Parts of the names that secrets go by; `SENSITIVE_FIELDS` by default.
    """
    names = [name.lower() for name in (SENSITIVE_FIELDS if fields is None else fields)]
    if isinstance(data, Mapping):
        mapping = cast("Mapping[object, Any]", data)
        return {
            key: _masked(value)
            if any(name in str(key).lower() for name in names)
            else mask_sensitive_data(value, fields)
            for key, value in mapping.items()
        }
    if isinstance(data, list | tuple):
        items = cast("Sequence[object]", data)
        return [mask_sensitive_data(item, fields) for item in items]
    return data


def log_api_call(api_name: str, request_data: str = "") -> None:
    """Log that an action is called."""
    log.info("calls %s", api_name)
    if request_data:
        log.debug("%s: %s", api_name, _masked_text(request_data))


def log_api_response(response_data: str, success: bool = True) -> None:
    """Log what an action answered."""
    log.log(_level(success), "the answer: %s", _masked_text(response_data))


def log_api_response_with_details(
    api_name: str,
    request_id: str = "",
    success: bool = True,
    key_fields: Mapping[str, Any] | None = None,
    full_response: str = "",
) -> None:
    """Log how an action went, with the facts that matter."""
    facts = mask_sensitive_data(key_fields or {})
    log.log(_level(success), "%s %s %s", api_name, request_id, facts)
    if full_response:
        log.debug("%s: %s", api_name, _masked_text(full_response))


def log_code_execution_output(request_id: str, raw_output: str) -> None:
    """Log what code printed."""
    log.info("%s printed: %s", request_id, raw_output)


def log_operation_start(operation: str, details: str = "") -> None:
    """Log that something begins."""
    log.info("begins: %s %s", operation, details)


def log_operation_success(operation: str, result: str = "") -> None:
    """Log that something is done."""
    log.info("done: %s %s", operation, result)


def log_operation_error(
    operation: str, error: str, exc_info: bool = False, request_id: str = ""
) -> None:
    """Log that something failed.

    Args:
        operation: What failed.
        error: Why.
        exc_info: Whether to log where the exception that is handled was raised.
        request_id: Identifier of the request.
    """
    log.error("failed: %s %s: %s", operation, request_id, error, exc_info=exc_info)


def log_warning(message: str, details: str = "") -> None:
    """Log a warning."""
    log.warning("%s %s", message, details)


def log_info_with_color(message: str, color: str = COLOR_RED) -> None:
    """Log a message in a colour."""
    log.info("%s%s%s", color, message, COLOR_RESET)


def colorize_log_message(record: logging.LogRecord) -> str:
    """The message of a record, in the colour of its level."""
    color = _COLORS.get(record.levelname)
    message = record.getMessage()
    return f"{color}{message}{COLOR_RESET}" if color else message


class _Colored(logging.Formatter):
    """Colours the message of warnings and errors."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = colorize_log_message(record)
        return super().formatMessage(record)


def _file_handler(path: str, rotation: str) -> logging.Handler:
    match = re.fullmatch(r"\s*(\d+)\s*([A-Za-z]+?)s?\s*", rotation)
    number, unit = (int(match[1]), match[2]) if match else (0, "")
    if number and unit.upper() in _UNITS:
        size = number * _UNITS[unit.upper()]
        return RotatingFileHandler(path, maxBytes=size, backupCount=_KEPT_FILES, encoding="utf-8")
    if not number or unit.lower() not in _PERIODS:
        raise InvalidInputError(f"rotation is a size or a time, such as '10 MB', not {rotation!r}")
    when, factor = _PERIODS[unit.lower()]
    return TimedRotatingFileHandler(
        path, when, number * factor, backupCount=_KEPT_FILES, encoding="utf-8"
    )


def _masked(value: Any) -> str:
    text = str(value)
    return f"{text[:2]}****{text[-2:]}" if isinstance(value, str) and len(text) > 4 else "****"


def _masked_text(text: str) -> str:
    """JSON text without its secrets; of other text, which may hold some, only the length."""
    try:
        return json.dumps(mask_sensitive_data(json.loads(text)), ensure_ascii=False)[:2000]
    except (ValueError, RecursionError):
        return f"text of {len(text)} characters"


def _level(success: bool) -> int:
    return logging.INFO if success else logging.ERROR
