"""The request for a new session, from what the caller asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._params import ContextSync, CreateSessionParams
from .._version import __version__
from ..errors import InvalidInputError
from ..protocol._checks import check_labels
from ..protocol.contexts import MountConfig, PersistenceItem
from ..protocol.sessions import CreateSession, SdkStats

if TYPE_CHECKING:
    from .._params.mounts import BetaContextMount
    from .._transport import Reply
    from ..protocol.session_details import SessionPage

_DEVICE_PATH = "/data/agentbay_mobile_info"


def create_request(params: CreateSessionParams, region_id: str = "") -> CreateSession:
    """Make the request for a session.

    Raises:
        InvalidInputError: Settings for the image cannot be used.
    """
    extra = params.extra_configs
    if extra is not None:
        extra.validate()
    return CreateSession(
        labels=check_labels(params.labels or {}) or None,
        image_id=params.image_id or None,
        persistence_data_list=_items(params) or None,
        mcp_policy_id=params.policy_id or None,
        vpc_resource=params.is_vpc or None,
        extra_configs=extra,
        login_region_id=region_id or None,
        network_id=params.beta_network_id or None,
        enable_record=params.enable_browser_replay,
        load_skill=params.load_skills or None,
        skills=(params.skill_names or None) if params.load_skills else None,
        sdk_stats=SdkStats(
            sdk_version=__version__, is_release=_is_release(), framework=params.framework
        ),
        **_lifetime(params),
    )


def synced_contexts(params: CreateSessionParams) -> list[ContextSync]:
    """All contexts that are brought into the session, also those that stand for something else.

    `create` waits for those whose `beta_wait_for_completion` is not False.
    """
    mobile = params.extra_configs.mobile if params.extra_configs else None
    device = mobile.simulate_config if mobile else None
    syncs = list(params.context_syncs)
    if device is not None and device.simulated_context_id:
        syncs.append(ContextSync(device.simulated_context_id, _DEVICE_PATH))
    if params.browser_context is not None:
        syncs.append(params.browser_context.get_data_context_sync())
    return syncs


def next_token(reply: Reply[SessionPage], passed: int, wanted: int) -> str:
    """Where the next page of a list begins.

    Raises:
        InvalidInputError: There is none.
    """
    if reply.value.next_token:
        return reply.value.next_token
    reason = f"there is no page {wanted}: page {passed} is the last one"
    raise InvalidInputError(reason, request_id=reply.request_id)


def persistence_item(context: ContextSync | BetaContextMount) -> PersistenceItem:
    """How a context travels that a session gets.

    Raises:
        InvalidInputError: It is none.
    """
    if isinstance(context, ContextSync):
        return PersistenceItem(context.context_id, context.path, context.policy)
    from .._params.mounts import BetaContextMount

    if not isinstance(context, BetaContextMount):  # pyright: ignore[reportUnnecessaryIsInstance]
        known = "ContextSync or BetaContextMount object"
        raise InvalidInputError(f"a context must be a {known}, not {context!r:.80}")
    how = MountConfig(context.access_mode, context.strategy, context.source_path)
    return PersistenceItem(context.context_id, context.path, type="mount", mount_config=how)


def _items(params: CreateSessionParams) -> list[PersistenceItem]:
    syncs = synced_contexts(params)
    # The data of the browser comes last, after the mounts, as recorded clients send it.
    browser = [syncs.pop()] if params.browser_context is not None else []
    contexts: list[ContextSync | BetaContextMount]
    contexts = [*syncs, *params.beta_context_mounts, *browser]
    return [persistence_item(context) for context in contexts]


def _lifetime(params: CreateSessionParams) -> dict[str, Any]:
    """Limits of a policy are minutes; the older limit, of the same name, is seconds."""
    policy = params.lifecycle_policy
    if policy is None:
        return {"timeout": params.idle_release_timeout}
    if policy.manual_release:
        return {"manual_release": True}
    return {"timeout": policy.idle_release_timeout, "max_runtime": policy.max_runtime}


def _is_release() -> bool:
    return not any(mark in __version__ for mark in ("a", "b", "rc", "dev"))
