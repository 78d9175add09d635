"""What a client is set up with: its key, its endpoint, its region and its time limit.

A user passes arguments or a `Config`; `resolve` fills in what is left from the environment, from
a `.env` file and from the defaults.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, overload
from urllib.parse import urlsplit

import attrs

from ._value import Value
from .errors import ConfigError

LOCAL = "local"
DEFAULT_REGION = "cn-hangzhou"
DEFAULT_TIMEOUT = 60.0

_HOSTS = {
    "cn-hangzhou": "agentbay.cn-hangzhou.aliyuncs.com",
    "ap-southeast-1": "agentbay.ap-southeast-1.aliyuncs.com",
    "us-east-1": "agentbay.us-east-1.aliyuncs.com",
    "pre-cn-hangzhou": "agentbay-pre.cn-hangzhou.aliyuncs.com",
    "pre-ap-southeast-1": "wuyingai-pre.ap-southeast-1.aliyuncs.com",
}


@attrs.frozen(init=False, eq=False, repr=False)
class Config(Value):
    """Settings of a client that can be kept apart from the code that makes the client.

    A setting that is left out comes from the environment, a `.env` file or the default. The
    arguments may also stand in the earlier order, ``Config(endpoint, timeout_ms, region_id)``:
    a text in the first place, or a number in the second, tells the two apart.

    Args:
        timeout_ms: Time limit of one API request, in milliseconds.
        region_id: Region of the service, such as ``"cn-hangzhou"``.
        endpoint: Host or base URL of the service, or ``"local"`` for the embedded engine.

    Raises:
        ConfigError: A value has the wrong type or makes no sense.

    Example:
        ```python
        AgentBay(cfg=Config(region_id="ap-southeast-1", timeout_ms=30_000))
        ```
    """

    timeout_ms: int | None = None
    region_id: str | None = None
    endpoint: str | None = None

    @overload
    def __init__(
        self,
        timeout_ms: int | None = None,
        region_id: str | None = None,
        endpoint: str | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self, _endpoint: str, /, timeout_ms: int | None = None, region_id: str | None = None
    ) -> None: ...

    def __init__(self, *args: Any, **named: Any) -> None:
        values = {**_by_position(args), **named}
        if len(values) < len(args) + len(named):
            raise TypeError("Config got the same setting twice")
        if values.get("timeout_ms") is not None:
            _check_timeout_ms(values["timeout_ms"])
        values["region_id"] = _text("region_id", values.get("region_id"))
        values["endpoint"] = _text("endpoint", values.get("endpoint"))
        if values["endpoint"]:
            # Checked here because a `Config` has a repr, and must not show a password in a URL.
            _base_url(values["endpoint"])
        self.__attrs_init__(**values)  # pyright: ignore - attrs makes this method


@attrs.frozen(eq=False, repr=False)
class Settings(Value):
    """What a client works with, after everything was looked up.

    Attributes:
        api_key: The key; empty when none was given and none is needed.
        endpoint: Base URL without a slash at its end, or ``"local"``.
        region_id: Region that the service is told, without the ``pre-`` of a test region.
        timeout: Time limit of one API request, in seconds.
    """

    api_key: str = attrs.field(repr=False)
    endpoint: str
    region_id: str
    timeout: float

    @property
    def is_local(self) -> bool:
        """Whether the embedded engine serves this client."""
        return self.endpoint == LOCAL


def resolve(
    api_key: str | None = "",
    cfg: Config | None = None,
    env_file: str | os.PathLike[str] | None = None,
    *,
    endpoint: str | None = None,
    region_id: str | None = None,
    timeout: float | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Look up every setting of a client.

    Each setting comes from the first place that has it: the arguments, `cfg`, the environment
    (``AGENTBAY_API_KEY``, ``AGENTBAY_REGION_ID``, ``AGENTBAY_ENDPOINT``, ``AGENTBAY_TIMEOUT_MS``),
    the `.env` file, the default. An empty value counts as absent.

    The first place that has an endpoint or a region decides where requests go. When it has both,
    the region wins over a host, with a warning, and the endpoint ``local`` wins over the region.
    An endpoint next to a region from a later place keeps that region as the one the service is
    told.

    Args:
        api_key: Key of the service. Not needed when the endpoint is ``local``.
        cfg: Settings that the caller keeps together.
        env_file: A file of ``NAME=value`` lines, which must exist. Without it, the first `.env`
            found from the working directory upwards is read. `os.environ` is never changed.
        endpoint: Host or base URL of the service, or ``"local"``.
        region_id: Region of the service.
        timeout: Time limit of one API request, in seconds.
        environ: Stands in for `os.environ`.

    Raises:
        ConfigError: A setting is missing or makes no sense.
    """
    if cfg is not None and not isinstance(cfg, Config):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        raise ConfigError(f"cfg must be a Config, not {type(cfg).__name__}")
    variables = os.environ if environ is None else environ
    places = [
        _Place(
            "the arguments",
            _check_key(api_key),
            _text("endpoint", endpoint),
            _text("region_id", region_id),
            _seconds(timeout),
        ),
        _from_config(cfg or Config()),
        _from_variables("the environment", variables),
        _from_variables("the .env file", _read_env_file(env_file)),
    ]
    base_url, region = _destination(places)
    key = next((place.api_key for place in places if place.api_key), "")
    if not key and base_url != LOCAL:
        raise ConfigError(
            "no API key: pass api_key=, or set AGENTBAY_API_KEY in the environment or a .env file; "
            "AGENTBAY_ENDPOINT=local uses the local engine, which needs no key"
        )
    limits = (place.timeout for place in places if place.timeout is not None)
    return Settings(key, base_url, region, next(limits, DEFAULT_TIMEOUT))


class _Place(NamedTuple):
    """The settings that one place has; None where it is silent."""

    name: str
    api_key: str | None = None
    endpoint: str | None = None
    region_id: str | None = None
    timeout: float | None = None


def _from_config(cfg: Config) -> _Place:
    timeout = cfg.timeout_ms / 1000 if cfg.timeout_ms else None
    return _Place("cfg", None, cfg.endpoint, cfg.region_id, timeout)


def _from_variables(name: str, variables: Mapping[str, str]) -> _Place:
    def value(variable: str) -> str | None:
        return variables.get(variable, "").strip() or None

    limit = value("AGENTBAY_TIMEOUT_MS")
    return _Place(
        name,
        _check_key(value("AGENTBAY_API_KEY")),
        value("AGENTBAY_ENDPOINT"),
        value("AGENTBAY_REGION_ID"),
        None if limit is None else _milliseconds(limit, f"AGENTBAY_TIMEOUT_MS in {name}"),
    )


def _destination(places: list[_Place]) -> tuple[str, str]:
    """The base URL, and the region to tell the service."""
    region = next((place.region_id for place in places if place.region_id), DEFAULT_REGION)
    reported = region.removeprefix("pre-")
    for place in places:
        base_url = _base_url(place.endpoint) if place.endpoint else None
        if base_url == LOCAL:
            return LOCAL, reported
        if place.region_id:
            if base_url:
                warnings.warn(
                    f"{place.name} has both an endpoint and a region: region_id {region!r} is "
                    f"used and the endpoint is not",
                    stacklevel=4,
                )
            return _region_url(place.region_id), reported
        if base_url:
            return base_url, reported
    return _region_url(DEFAULT_REGION), reported


def _region_url(region: str) -> str:
    host = _HOSTS.get(region)
    if host is None:
        raise ConfigError(
            f"unknown region {region!r}: known are {', '.join(_HOSTS)}; "
            "any other host is reached with endpoint= and no region"
        )
    return f"https://{host}"


def _base_url(endpoint: str) -> str:
    """``local``, or a URL with a scheme and without a slash at its end."""
    if endpoint.lower() == LOCAL:
        return LOCAL
    url = endpoint if "://" in endpoint else f"https://{endpoint}"
    problem = _problem(url)
    if problem:
        # The value itself is not shown: it may hold a password.
        raise ConfigError(
            f"the endpoint {problem}: use a host, an http:// or https:// URL, or 'local'"
        )
    scheme, rest = url.split("://", 1)
    return f"{scheme.lower()}://{rest.rstrip('/')}"


def _problem(url: str) -> str | None:
    if not all("!" <= character <= "~" and character != "\\" for character in url):
        return "has a character that URLs do not have"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a valid URL"
    if parts.scheme not in ("http", "https"):
        return "has an unknown scheme"
    if "@" in parts.netloc:
        return "has a user name or a password in it"
    if not host:
        return "has no host"
    return "has a query or a fragment" if "?" in url or "#" in url else None


def _check_key(key: object) -> str | None:
    """The key as it is; None for an empty one. No message ever shows a part of it."""
    if key is None or key == "":
        return None
    if not isinstance(key, str):
        raise ConfigError(f"api_key must be a str, not {type(key).__name__}")
    if not all("!" <= character <= "~" for character in key):
        raise ConfigError(
            "the API key has a space, a line break or another character that keys do not have"
        )
    return key


def _text(name: str, value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be a str, not {type(value).__name__}")
    if not value.strip():
        raise ConfigError(f"{name} is blank")
    return value.strip()


def _seconds(timeout: object) -> float | None:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise ConfigError(f"timeout must be a number of seconds, not {type(timeout).__name__}")
    if not (math.isfinite(timeout) and timeout > 0):
        raise ConfigError(f"timeout must be a positive number of seconds, not {timeout}")
    return float(timeout)


def _check_timeout_ms(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ConfigError(f"timeout_ms must be a positive int (milliseconds), not {value!r}")


def _milliseconds(text: str, name: str) -> float:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value <= 0:
        raise ConfigError(f"{name} must be a positive whole number of milliseconds, not {text!r}")
    return value / 1000


def _by_position(args: tuple[Any, ...]) -> dict[str, Any]:
    names = ["timeout_ms", "region_id", "endpoint"]
    endpoint_first = isinstance(args[0], str) if args else False
    if endpoint_first or (len(args) > 1 and isinstance(args[1], int)):
        names = ["endpoint", "timeout_ms", "region_id"]
    if len(args) > len(names):
        raise TypeError(f"Config takes at most {len(names)} arguments, not {len(args)}")
    return dict(zip(names, args, strict=False))


def _read_env_file(env_file: str | os.PathLike[str] | None) -> dict[str, str]:
    if env_file is not None:
        try:
            return _parse(Path(env_file))
        except (OSError, UnicodeDecodeError, ValueError, TypeError) as exc:
            raise ConfigError(f"env_file {str(env_file)!r} cannot be read: {exc}") from exc
    for path in _candidates():
        try:
            # Asked first, because opening a named pipe would wait for its other end.
            if path.is_file():
                return _parse(path)
        except (OSError, UnicodeDecodeError):
            continue
    return {}


def _parse(path: Path) -> dict[str, str]:
    from ._dotenv import parse_dotenv  # most programs have no such file

    return parse_dotenv(path.read_text(encoding="utf-8-sig"))


def _candidates() -> Iterator[Path]:
    try:
        here = Path.cwd()
    except OSError:
        # The working directory was deleted.
        return
    for directory in (here, *here.parents):
        yield directory / ".env"
