"""Where a client's settings come from, and which of them are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentbay._config import Config, Settings, resolve
from agentbay._dotenv import parse_dotenv
from agentbay.errors import ConfigError

KEY = "akm-11112222"
HANGZHOU = "https://agentbay.cn-hangzhou.aliyuncs.com"
SINGAPORE = "https://agentbay.ap-southeast-1.aliyuncs.com"


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment without our variables."""
    for name in [name for name in os.environ if name.startswith("AGENTBAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def endpoint_of(value: str) -> str:
    return resolve(KEY, endpoint=value).endpoint


# Config


@pytest.mark.parametrize(
    "config",
    [
        Config(30_000, "us-east-1", "my.host"),
        Config("my.host", 30_000, "us-east-1"),
        Config("my.host", timeout_ms=30_000, region_id="us-east-1"),
        Config(timeout_ms=30_000, region_id="us-east-1", endpoint="my.host"),
    ],
)
def test_both_orders_of_the_arguments_mean_the_same(config: Config) -> None:
    assert (config.timeout_ms, config.region_id, config.endpoint) == (
        30_000,
        "us-east-1",
        "my.host",
    )


def test_a_number_in_the_second_place_is_the_time_limit() -> None:
    positional: tuple[Any, ...] = (None, 30_000)
    assert Config(*positional) == Config(timeout_ms=30_000)


def test_the_settings_of_a_config_may_be_left_out() -> None:
    assert Config() == Config(None, None, None) == Config(region_id="", endpoint="")


@pytest.mark.parametrize(
    "named",
    [
        {"timeout_ms": 0},
        {"timeout_ms": -1},
        {"timeout_ms": True},
        {"timeout_ms": 1.5},
        {"timeout_ms": "60000"},
        {"region_id": 5},
        {"region_id": " "},
        {"endpoint": b"host"},
        {"endpoint": "  "},
        {"endpoint": "ftp://host"},
    ],
)
def test_a_bad_value_is_refused_when_the_config_is_made(named: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(named))):
        Config(**named)


@pytest.mark.parametrize(
    ("args", "named"),
    [(("host",), {"endpoint": "x"}), ((1, "a", "b", "c"), {}), ((), {"other": 1})],
)
def test_arguments_that_do_not_fit_are_a_type_error(
    args: tuple[Any, ...], named: dict[str, Any]
) -> None:
    with pytest.raises(TypeError):
        Config(*args, **named)


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Config().region_id = "us-east-1"  # type: ignore[misc]  # pyright: ignore - that is the test


# Regions and endpoints


def test_the_defaults_are_hangzhou_and_sixty_seconds() -> None:
    assert resolve(KEY) == Settings(KEY, HANGZHOU, "cn-hangzhou", 60.0)


@pytest.mark.parametrize(
    ("region", "host", "reported"),
    [
        ("cn-hangzhou", "agentbay.cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
        ("ap-southeast-1", "agentbay.ap-southeast-1.aliyuncs.com", "ap-southeast-1"),
        ("us-east-1", "agentbay.us-east-1.aliyuncs.com", "us-east-1"),
        ("pre-cn-hangzhou", "agentbay-pre.cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
        ("pre-ap-southeast-1", "wuyingai-pre.ap-southeast-1.aliyuncs.com", "ap-southeast-1"),
    ],
)
def test_a_region_names_its_host(region: str, host: str, reported: str) -> None:
    settings = resolve(KEY, region_id=region)
    assert (settings.endpoint, settings.region_id) == (f"https://{host}", reported)


@pytest.mark.parametrize("region", ["mars-1", "pre-us-east-1", "CN-HANGZHOU"])
def test_an_unknown_region_is_refused_with_the_known_ones(region: str) -> None:
    with pytest.raises(ConfigError, match=r"pre-ap-southeast-1.*endpoint=") as error:
        resolve(KEY, region_id=region)
    assert repr(region) in str(error.value)


@pytest.mark.parametrize(
    ("given_value", "url"),
    [
        ("my.host", "https://my.host"),
        ("my.host:8443/", "https://my.host:8443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("HTTPS://my.host/bay/v1//", "https://my.host/bay/v1"),
        ("http://[::1]:8000/x", "http://[::1]:8000/x"),
        (" my.host ", "https://my.host"),
    ],
)
def test_an_endpoint_becomes_a_base_url(given_value: str, url: str) -> None:
    assert endpoint_of(given_value) == url


@pytest.mark.parametrize(
    "value",
    [
        "ftp://host",
        "https://user:pa55@host",
        "user:pa55@host",
        "https://",
        "https:///path",
        "my host",
        "host\n.evil",
        "host:port",
        "host:99999",
        "host?x=pa55",
        "host#pa55",
        "host\\x",
        "http://[::1",
        "höst",
        " ",
    ],
)
def test_a_bad_endpoint_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(ConfigError, match="endpoint") as error:
        endpoint_of(value)
    assert "pa55" not in str(error.value)


@pytest.mark.parametrize("value", ["local", "LOCAL", " Local "])
def test_the_local_engine_needs_no_key(value: str) -> None:
    settings = resolve(endpoint=value)
    assert settings.is_local
    assert (settings.endpoint, settings.api_key) == ("local", "")


def test_the_local_engine_keeps_a_key_that_was_given() -> None:
    assert resolve(KEY, endpoint="local").api_key == KEY


def test_a_host_is_not_the_local_engine() -> None:
    assert not resolve(KEY, endpoint="localhost").is_local


# Which place counts


def test_an_argument_beats_the_config_the_environment_and_the_file(work: Path) -> None:
    (work / ".env").write_text("AGENTBAY_API_KEY=file\nAGENTBAY_ENDPOINT=file.host\n")
    environ = {
        "AGENTBAY_API_KEY": "environment",
        "AGENTBAY_ENDPOINT": "environment.host",
        "AGENTBAY_TIMEOUT_MS": "3000",
    }
    config = Config(endpoint="cfg.host", timeout_ms=2000)
    settings = resolve("argument", config, endpoint="argument.host", timeout=1, environ=environ)
    assert settings.api_key == "argument"
    assert settings.endpoint == "https://argument.host"
    assert settings.timeout == 1.0


@pytest.mark.parametrize(
    ("config", "environ", "endpoint", "timeout"),
    [
        (Config("cfg.host", 2000), {"ENDPOINT": "env.host"}, "https://cfg.host", 2.0),
        (Config(), {"ENDPOINT": "env.host", "TIMEOUT_MS": "3000"}, "https://env.host", 3.0),
        (Config(timeout_ms=2000), {"ENDPOINT": "env.host"}, "https://env.host", 2.0),
        (None, {"TIMEOUT_MS": "3000"}, "https://file.host", 3.0),
        (None, {"ENDPOINT": "", "TIMEOUT_MS": ""}, "https://file.host", 4.0),
    ],
)
def test_what_a_place_leaves_out_comes_from_the_next(
    work: Path, config: Config | None, environ: dict[str, str], endpoint: str, timeout: float
) -> None:
    (work / ".env").write_text("AGENTBAY_ENDPOINT=file.host\nAGENTBAY_TIMEOUT_MS=4000\n")
    variables = {f"AGENTBAY_{name}": value for name, value in environ.items()}
    settings = resolve(KEY, config, environ=variables)
    assert (settings.endpoint, settings.timeout) == (endpoint, timeout)


def test_a_region_of_a_higher_place_beats_an_endpoint_of_a_lower_one() -> None:
    environ = {"AGENTBAY_ENDPOINT": "env.host"}
    assert resolve(KEY, Config(region_id="ap-southeast-1"), environ=environ).endpoint == SINGAPORE


def test_an_endpoint_of_a_higher_place_keeps_the_region_of_a_lower_one_as_a_name() -> None:
    settings = resolve(KEY, endpoint="my.host", environ={"AGENTBAY_REGION_ID": "us-east-1"})
    assert (settings.endpoint, settings.region_id) == ("https://my.host", "us-east-1")


def test_in_one_place_a_region_beats_a_host_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="endpoint is not"):
        settings = resolve(KEY, Config(region_id="ap-southeast-1", endpoint="my.host"))
    assert settings.endpoint == SINGAPORE


@pytest.mark.parametrize("region", [{}, {"AGENTBAY_REGION_ID": "us-east-1"}])
def test_the_environment_can_choose_the_local_engine_next_to_a_region(
    region: Mapping[str, str],
) -> None:
    assert resolve(environ={"AGENTBAY_ENDPOINT": "local", **region}).is_local


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTBAY_API_KEY", f" {KEY} ")
    assert resolve().api_key == KEY


@pytest.mark.parametrize("value", ["0", "-5", "soon", "1.5"])
def test_a_bad_time_limit_in_the_environment_is_named(value: str) -> None:
    with pytest.raises(ConfigError, match="AGENTBAY_TIMEOUT_MS in the environment"):
        resolve(KEY, environ={"AGENTBAY_TIMEOUT_MS": value})


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), float("inf"), True, "5"])
def test_a_bad_time_limit_is_refused(timeout: Any) -> None:
    with pytest.raises(ConfigError, match="timeout"):
        resolve(KEY, timeout=timeout)


def test_another_object_than_a_config_is_refused() -> None:
    config: Any = {"region_id": "us-east-1"}
    with pytest.raises(ConfigError, match="cfg must be a Config"):
        resolve(KEY, config)


# The key


def test_a_missing_key_says_every_way_out() -> None:
    with pytest.raises(ConfigError) as error:
        resolve()
    for remedy in ("api_key=", "AGENTBAY_API_KEY", "AGENTBAY_ENDPOINT=local"):
        assert remedy in str(error.value)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize(
    "key", ["akm secret", "akm-secret\n", "akm-\x00secret", "sécret", " secret"]
)
def test_a_key_that_cannot_be_right_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError, match="API key") as error:
        resolve(key)
    assert "cret" not in str(error.value)


def test_a_key_of_another_type_is_refused() -> None:
    key: Any = 5
    with pytest.raises(ConfigError, match="api_key must be a str"):
        resolve(key)


def test_the_key_is_not_in_the_repr() -> None:
    assert KEY not in repr(resolve(KEY))


# The .env file


def test_a_key_that_stands_only_in_the_file_works_on_the_first_try(work: Path) -> None:
    (work / ".env").write_text(f"AGENTBAY_API_KEY={KEY}\n")
    assert resolve().api_key == KEY


def test_the_file_never_changes_the_environment(work: Path) -> None:
    (work / ".env").write_text(f"AGENTBAY_API_KEY={KEY}\nOTHER=1\n")
    before = dict(os.environ)
    resolve()
    assert dict(os.environ) == before


def test_the_file_is_found_in_a_directory_above(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / ".env").write_text(f"AGENTBAY_API_KEY={KEY}\n")
    (work / "a" / "b").mkdir(parents=True)
    # Neither a directory nor undecodable bytes end the search.
    (work / "a" / ".env").mkdir()
    (work / "a" / "b" / ".env").write_bytes(b"\xff\xfe")
    monkeypatch.chdir(work / "a" / "b")
    assert resolve().api_key == KEY


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_not_waited_for(work: Path) -> None:
    os.mkfifo(work / ".env")
    assert resolve(KEY).api_key == KEY


def test_the_nearest_file_is_the_only_one(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (work / ".env").write_text("AGENTBAY_API_KEY=far\nAGENTBAY_REGION_ID=us-east-1\n")
    (work / "a").mkdir()
    (work / "a" / ".env").write_text("AGENTBAY_API_KEY=near\n")
    monkeypatch.chdir(work / "a")
    settings = resolve()
    assert (settings.api_key, settings.region_id) == ("near", "cn-hangzhou")


def test_a_file_that_was_named_is_read_instead(work: Path) -> None:
    (work / ".env").write_text("AGENTBAY_API_KEY=found\n")
    (work / "named").write_text("AGENTBAY_API_KEY=named\n")
    assert resolve(env_file=work / "named").api_key == "named"
    assert resolve(env_file="named").api_key == "named"


def test_a_file_that_was_named_must_be_readable(work: Path) -> None:
    (work / "binary").write_bytes(b"\xff\xfe")
    for name in ("missing", "binary", "."):
        with pytest.raises(ConfigError, match="env_file"):
            resolve(KEY, env_file=work / name)


def test_a_bad_time_limit_in_the_file_is_named(work: Path) -> None:
    (work / ".env").write_text("AGENTBAY_TIMEOUT_MS=soon\n")
    with pytest.raises(ConfigError, match=r"AGENTBAY_TIMEOUT_MS in the \.env file"):
        resolve(KEY)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("AGENTBAY_X=abc", "abc"),
        ("  AGENTBAY_X = abc  ", "abc"),
        ("export AGENTBAY_X=abc", "abc"),
        ("AGENTBAY_X=abc # comment", "abc"),
        ("AGENTBAY_X=abc#d", "abc#d"),
        ("AGENTBAY_X=a b=c", "a b=c"),
        ("AGENTBAY_X=", ""),
        ("AGENTBAY_X= # comment", ""),
        (r"AGENTBAY_X='a\n # b'", r"a\n # b"),
        (r'AGENTBAY_X="a\n\t\"\\ # b" # comment', 'a\n\t"\\ # b'),
        (r'AGENTBAY_X="\d"', r"\d"),
        ("AGENTBAY_X='two\nlines'", "two\nlines"),
        ("AGENTBAY_X=1\r\nAGENTBAY_X=2\r\n", "2"),
        ("\ufeffAGENTBAY_X=abc", "abc"),
        ("# AGENTBAY_X=no\n\nAGENTBAY_X=yes", "yes"),
        ("nonsense\n=x\nAGENTBAY_Y='open\nAGENTBAY_X=yes", "yes"),
        ("AGENTBAY_X=first\nAGENTBAY_X='a' b", "first"),
        ("OTHER='\nAGENTBAY_X=inside\n'\nAGENTBAY_X=outside", "outside"),
    ],
)
def test_a_line_of_the_file(line: str, value: str) -> None:
    assert parse_dotenv(line) == {"AGENTBAY_X": value}


def test_names_of_other_programs_are_not_kept() -> None:
    assert parse_dotenv("PATH=/x\nAWS_SECRET=1\nMY_AGENTBAY_X=1") == {}


LINE_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r")
    | st.sampled_from("'\"\\#=\n ")
)


@given(st.text() | LINE_TEXT)
def test_no_text_breaks_the_parser(text: str) -> None:
    for name in parse_dotenv(f"AGENTBAY_A={text}"):
        assert name.startswith("AGENTBAY_")


@given(LINE_TEXT)
def test_a_value_in_double_quotes_comes_back(value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert parse_dotenv(f'A=1\nAGENTBAY_A="{quoted}" # x\nB=2') == {"AGENTBAY_A": value}


@given(LINE_TEXT.filter(lambda value: "'" not in value))
def test_a_value_in_single_quotes_comes_back(value: str) -> None:
    assert parse_dotenv(f"AGENTBAY_A='{value}'") == {"AGENTBAY_A": value}


# Importing


def test_importing_reads_neither_files_nor_the_environment(work: Path) -> None:
    (work / ".env").write_text("AGENTBAY_API_KEY=x\n")
    code = """
import os, sys
import agentbay.errors, attrs, pathlib, urllib.parse, warnings
def audit(event, args):
    name = str(args[0])
    if event == "open" and not name.endswith((".py", ".pyc")) and ".pyc." not in name:
        raise SystemExit(f"opened {name}")
class NoReading(dict):
    def __getitem__(self, name): raise SystemExit(f"read {name}")
    get = __contains__ = __iter__ = __getitem__
sys.addaudithook(audit)
os.environ = NoReading()
import agentbay._config
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
