"""What a new session is asked to be: both generations of arguments, and the request for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from agentbay import (
    BrowserFingerprintContext,
    BWList,
    ContextSync,
    CreateSessionParams,
    ExtensionOption,
    Lifecycle,
    MappingPolicy,
    RecyclePolicy,
    SyncPolicy,
    UploadMode,
    UploadPolicy,
    WhiteList,
)
from agentbay._async._creation import create_request, synced_contexts
from agentbay._params.browser import BrowserContext, BrowserSyncMode
from agentbay._params.lifecycle import LifecyclePolicy
from agentbay._params.mounts import (
    BetaContextMount,
    BetaContextMountAccessMode,
    BetaContextMountStrategy,
)
from agentbay.errors import InvalidInputError
from agentbay.protocol.extra_configs import (
    AppManagerRule,
    ExtraConfigs,
    MobileExtraConfig,
    MobileSimulateConfig,
    MobileSimulateMode,
)

from .service import Sent

SAMPLES = Path(__file__).parent.parent / "data" / "samples"

SYNC = ContextSync("c-1", "/p")
MOUNT = BetaContextMount("c-2", "/q")
BROWSER = BrowserContext("c-3")
POLICY = LifecyclePolicy(10, 60)
EXTRA = ExtraConfigs(MobileExtraConfig(lock_resolution=True))


# -- the order of arguments ------------------------------------------------------------


def test_the_order_of_the_first_generation_is_understood() -> None:
    params = CreateSessionParams(
        {"a": "b"}, "image", [SYNC], BROWSER, True, "pol", False, EXTRA, "langchain"
    )
    assert params == CreateSessionParams(
        {"a": "b"},
        "image",
        context_syncs=[SYNC],
        browser_context=BROWSER,
        is_vpc=True,
        policy_id="pol",
        enable_browser_replay=False,
        extra_configs=EXTRA,
        framework="langchain",
    )


def test_the_order_of_the_later_generation_is_understood() -> None:
    params = CreateSessionParams(
        None, "image", None, POLICY, [SYNC], [MOUNT], BROWSER, "pol", "net", True, EXTRA, "fw",
        True, ["s"],
    )  # fmt: skip
    assert params == CreateSessionParams(
        image_id="image",
        lifecycle_policy=POLICY,
        context_syncs=[SYNC],
        beta_context_mounts=[MOUNT],
        browser_context=BROWSER,
        policy_id="pol",
        beta_network_id="net",
        enable_browser_replay=True,
        extra_configs=EXTRA,
        framework="fw",
        load_skills=True,
        skill_names=["s"],
    )
    assert CreateSessionParams(None, None, 300).idle_release_timeout == 300


@pytest.mark.parametrize(
    "more",
    [
        ("text",),
        (True,),
        (None, None, None, None, None, None, "framework or network?"),
        ([SYNC], POLICY),
        (None,) * 13,
    ],
)
def test_arguments_that_fit_no_order_or_both_are_refused(more: tuple[object, ...]) -> None:
    with pytest.raises(InvalidInputError, match="by their names"):
        CreateSessionParams(None, None, *more)


def test_an_argument_is_given_once() -> None:
    with pytest.raises(InvalidInputError, match="context_syncs is given twice"):
        CreateSessionParams(None, None, [SYNC], context_syncs=[SYNC])


def test_a_copy_with_a_change_keeps_the_rest() -> None:
    params = CreateSessionParams(
        browser_context=BrowserContext("c", True, ExtensionOption("e", ["x.zip"]))
    )
    assert attrs.evolve(params, image_id="other").context_syncs == params.context_syncs


def test_lists_of_the_caller_are_not_changed() -> None:
    syncs = [SYNC]
    option = ExtensionOption("e", ["x.zip"])
    params = CreateSessionParams(
        context_syncs=syncs, browser_context=BrowserContext("c", True, option)
    )
    assert syncs == [SYNC]
    assert [sync.path for sync in params.context_syncs] == ["/p", "/tmp/extensions/"]


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: CreateSessionParams(idle_release_timeout=0),
        lambda: CreateSessionParams(idle_release_timeout=True),
        lambda: CreateSessionParams(idle_release_timeout=5, lifecycle_policy=POLICY),
        lambda: CreateSessionParams(lifecycle_policy=5),  # type: ignore[arg-type]  # on purpose
        lambda: CreateSessionParams(browser_context="c"),  # type: ignore[arg-type]  # on purpose
        lambda: CreateSessionParams(extra_configs={"mobile": 1}),  # type: ignore[arg-type]  # on purpose
        lambda: CreateSessionParams(beta_context_mounts=[SYNC]),  # type: ignore[list-item]  # on purpose
        lambda: CreateSessionParams(skill_names="abc"),
        lambda: CreateSessionParams(skill_names=["a"], load_skills=False),
        lambda: LifecyclePolicy(0),
        lambda: LifecyclePolicy(max_runtime=True),
        lambda: LifecyclePolicy(5, manual_release=True),
        lambda: LifecyclePolicy(max_runtime=5, manual_release=True),
        lambda: BetaContextMount("", "/p"),
        lambda: BetaContextMount("c", " "),
        lambda: BrowserContext(""),
        lambda: BrowserContext("c", True, "everything"),
        lambda: BrowserContext("c", True, 5),  # type: ignore[arg-type]  # on purpose
    ],
)  # fmt: skip
def test_params_that_cannot_be_used_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(InvalidInputError):
        make()


def test_a_manual_release_has_no_limits() -> None:
    policy = LifecyclePolicy(manual_release=True)
    assert (policy.idle_release_timeout, policy.max_runtime) == (0, 0)


def test_a_policy_has_limits_by_default() -> None:
    policy = LifecyclePolicy()
    assert (policy.idle_release_timeout, policy.max_runtime) == (5, 30)


def test_a_simulation_that_is_off_needs_no_directory() -> None:
    # Existing clients refuse the session, although nothing is to be simulated.
    off = MobileExtraConfig(simulate_config=MobileSimulateConfig(False))
    on = MobileExtraConfig(simulate_config=MobileSimulateConfig(True))
    assert create_request(CreateSessionParams(extra_configs=ExtraConfigs(off)))
    with pytest.raises(InvalidInputError, match="simulate_path"):
        create_request(CreateSessionParams(extra_configs=ExtraConfigs(on)))


@pytest.mark.parametrize(
    "mobile",
    [
        MobileExtraConfig(uninstall_blacklist=[1]),  # type: ignore[list-item]  # on purpose
        MobileExtraConfig(uninstall_blacklist="com.a"),  # type: ignore[arg-type]  # on purpose
        MobileExtraConfig(app_manager_rule=AppManagerRule("White", [None])),  # type: ignore[list-item]  # on purpose
    ],
)
def test_package_names_that_are_not_text_are_refused(mobile: MobileExtraConfig) -> None:
    with pytest.raises(InvalidInputError, match=r"list of text|no package name"):
        create_request(CreateSessionParams(extra_configs=ExtraConfigs(mobile)))


async def test_parameters_can_be_changed_after_they_are_made() -> None:
    params, policy = CreateSessionParams(), SyncPolicy()
    policy.upload_policy.auto_upload = False
    sync = ContextSync("c-1", "/a")
    sync.path, sync.policy = "/b", policy
    params.labels, params.context_syncs = {"a": "b"}, [sync]
    call = create_request(params)
    assert call.labels == {"a": "b"}
    item = (call.persistence_data_list or [])[0]
    assert item.path == "/b"
    assert item.policy is not None
    assert not item.policy.upload_policy.auto_upload


def test_a_change_is_checked_as_at_the_beginning() -> None:
    policy, params = UploadPolicy(), CreateSessionParams()
    with pytest.raises(InvalidInputError, match="UploadMode must be one of"):
        policy.upload_mode = "nonsense"  # type: ignore[assignment]  # on purpose
    params.labels = {"": "b"}
    with pytest.raises(InvalidInputError, match="label"):
        create_request(params)


# -- the parts -------------------------------------------------------------------------


def test_settings_are_read_back_from_their_mapping() -> None:
    extra = ExtraConfigs(
        MobileExtraConfig(True, AppManagerRule("White", ["com.a"]), False, ["com.b"])
    )
    assert extra.to_map() == {
        "Mobile": {
            "LockResolution": True,
            "AppManagerRule": {"RuleType": "White", "AppPackageNameList": ["com.a"]},
            "HideNavigationBar": False,
            "UninstallBlacklist": ["com.b"],
        }
    }
    assert ExtraConfigs.from_map(extra.to_map()) == extra
    with pytest.raises(InvalidInputError):
        ExtraConfigs.from_map({"Mobile": 5})


def test_the_simulation_does_not_travel() -> None:
    device = MobileSimulateConfig(True, "/d", MobileSimulateMode.ALL, "c-1")
    params = CreateSessionParams(
        extra_configs=ExtraConfigs(MobileExtraConfig(simulate_config=device))
    )
    assert not any("Simulate" in name for name in create_request(params).form())
    assert device.simulate_mode is MobileSimulateMode.ALL


def test_a_mount_is_copied_with_changes() -> None:
    mount = BetaContextMount.new("c", "/p").with_access_mode("readOnly")
    mount = mount.with_strategy(BetaContextMountStrategy.PERFORMANCE).with_source_path("/src")
    assert mount == BetaContextMount(
        "c",
        "/p",
        BetaContextMountAccessMode.READ_ONLY,
        BetaContextMountStrategy.PERFORMANCE,
        "/src",
    )


def test_the_third_argument_of_a_browser_context_may_be_its_extensions() -> None:
    option = ExtensionOption("e", ["x.zip", "y.zip"])
    context = BrowserContext("c", False, option)
    assert context == BrowserContext("c", False, extension_option=option)
    assert context.sync_mode is BrowserSyncMode.STANDARD
    assert (context.extension_context_id, context.extension_ids) == ("e", ["x.zip", "y.zip"])
    assert context.extension_context_syncs == context.get_all_context_syncs()
    assert context.fingerprint_context_sync is None


def test_a_plain_browser_context_brings_its_data_only() -> None:
    context = BrowserContext("c", sync_mode="minimal")
    assert (context.extension_ids, context.extension_context_syncs) == ([], None)
    assert context.get_all_context_syncs() == []
    assert context.get_data_context_sync().path == "/tmp/agentbay_browser"


def test_naming_skills_asks_for_them() -> None:
    request = create_request(CreateSessionParams(skill_names=["a"]))
    assert (request.load_skill, request.skills) == (True, ["a"])
    assert create_request(CreateSessionParams(load_skills=True)).skills is None


def test_contexts_of_all_kinds_are_waited_for_but_mounts() -> None:
    device = MobileSimulateConfig(True, "/d", None, "c-9")
    params = CreateSessionParams(
        context_syncs=[SYNC],
        beta_context_mounts=[MOUNT],
        browser_context=BROWSER,
        extra_configs=ExtraConfigs(MobileExtraConfig(simulate_config=device)),
    )
    assert [sync.context_id for sync in synced_contexts(params)] == ["c-1", "c-9", "c-3"]


# -- recorded requests -----------------------------------------------------------------

_POLICY = SyncPolicy(
    upload_policy=UploadPolicy(upload_mode=UploadMode.ARCHIVE, archive_exclude_paths=["/x"]),
    recycle_policy=RecyclePolicy(Lifecycle.LIFECYCLE_1DAY, ["/tmp/cache"]),
    bw_list=BWList([WhiteList("/a", ["/a/b"])]),
    mapping_policy=MappingPolicy("/m"),
)
_RECORDED: dict[str, CreateSessionParams] = {
    "0.22-async/001-create-default": CreateSessionParams(),
    "0.22-async/002-create-all": CreateSessionParams(
        {"env": "dev", "名": "值 &="},
        "linux_latest",
        lifecycle_policy=POLICY,
        context_syncs=[
            ContextSync("ctx-1", "/home/wuying", _POLICY),
            ContextSync("ctx-2", "/nopolicy"),
        ],
        beta_context_mounts=[
            BetaContextMount.new("ctx-m", "/mnt/m", "readOnly", "performance", "/src")
        ],
        browser_context=BrowserContext(
            "ctx-b",
            False,
            "minimal",
            ExtensionOption("ctx-e", ["ext_1.zip"]),
            BrowserFingerprintContext("ctx-f"),
        ),
        policy_id="pol-1",
        beta_network_id="net-1",
        enable_browser_replay=True,
        framework="langchain",
        load_skills=True,
        skill_names=["sk1", "sk2"],
    ),
    "0.22-async/004-create-browserctx-standard": CreateSessionParams(
        image_id="browser_latest", browser_context=BrowserContext("ctx-1")
    ),
    "0.22-async/006-create-manual-release": CreateSessionParams(
        lifecycle_policy=LifecyclePolicy(manual_release=True), enable_browser_replay=False
    ),
    "0.22-async/007-create-legacy-idle": CreateSessionParams(idle_release_timeout=300),
    "0.22-async/008-create-mobile-extraconfigs": CreateSessionParams(
        image_id="mobile_latest",
        extra_configs=ExtraConfigs(
            MobileExtraConfig(
                True,
                AppManagerRule("White", ["com.a", "com.b"]),
                False,
                ["com.c"],
                MobileSimulateConfig(True, "/data/sim", None, "ctx-1"),
            )
        ),
    ),
}  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return (
        _plain(json.loads(value))
        if isinstance(value, str) and value[:1] in "{[" and value
        else value
    )


def _form(name: str) -> dict[str, Any]:
    (path,) = SAMPLES.glob(f"{name}-CreateMcpSession.http")
    head, _, body = path.read_bytes().decode().partition("\r\n\r\n")
    form = Sent.read(head.split()[1], body).form
    del form["Authorization"]
    return _comparable(form)


def _comparable(form: dict[str, str]) -> dict[str, Any]:
    plain = {key: _plain(value) for key, value in form.items()}
    del plain["SdkStats"]["sdk_version"], plain["SdkStats"]["is_release"]
    return plain


@pytest.mark.parametrize("name", _RECORDED)
def test_a_session_is_asked_for_as_recorded(name: str) -> None:
    request = create_request(_RECORDED[name], "cn-hangzhou")
    assert _comparable(request.form()) == _form(name)


def test_a_session_of_the_first_generation_is_asked_for_as_recorded() -> None:
    extra = ExtraConfigs(MobileExtraConfig(True, AppManagerRule("Black", ["a", "b"])))
    params = CreateSessionParams(
        {"a": "b"},
        "linux_latest",
        [ContextSync("ctx-1", "/p", SyncPolicy())],
        BrowserContext("ctx-b", True, "minimal"),
        False,
        "pol-1",
        None,
        extra,
        "fw",
    )
    ours, theirs = _comparable(create_request(params).form()), _form("0.10/006-create-all")
    # Left out: two contexts of the client's own, and the default of VpcResource.
    theirs["PersistenceDataList"] = [theirs["PersistenceDataList"][i] for i in (0, 2)]
    assert theirs.pop("VpcResource") == "False"
    for item in ours["PersistenceDataList"]:
        for rule in item["Policy"]["bwList"]["whiteLists"]:
            # Flags that came later, with the value that they had before.
            assert (rule.pop("isPathRegex"), rule.pop("isExcludeRegex")) == (False, False)
    assert ours == theirs


def test_a_private_network_is_asked_for() -> None:
    assert create_request(CreateSessionParams(is_vpc=True)).form()["VpcResource"] == "True"


def test_a_quote_in_the_framework_does_not_break_the_request() -> None:
    # Existing clients paste the name into JSON text.
    form = create_request(CreateSessionParams(framework='a"b')).form()
    assert json.loads(form["SdkStats"])["framework"] == 'a"b'
