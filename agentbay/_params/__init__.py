"""What a new session is asked to be.

The two classes that nearly every program needs are here; the rarer ones load when they are
asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

import attrs

from .._deferred import hint
from .._value import Value
from ..errors import InvalidInputError
from ..protocol._checks import check_labels

if TYPE_CHECKING:
    from ..protocol.extra_configs import ExtraConfigs
    from ..protocol.sync_policy import SyncPolicy
    from .browser import BrowserContext
    from .lifecycle import LifecyclePolicy
    from .mounts import BetaContextMount
else:
    ExtraConfigs = hint("agentbay.protocol.extra_configs", "ExtraConfigs")
    SyncPolicy = hint("agentbay.protocol.sync_policy", "SyncPolicy")
    BrowserContext = hint("agentbay._params.browser", "BrowserContext")
    LifecyclePolicy = hint("agentbay._params.lifecycle", "LifecyclePolicy")
    BetaContextMount = hint("agentbay._params.mounts", "BetaContextMount")


def not_blank(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """An attrs validator: text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{attribute.name} must be text that is not blank, not {value!r}")


@attrs.define(eq=False, repr=False)
class ContextSync(Value):
    """A context that is kept in step with a path of a session.

    Attributes:
        context_id: Which context.
        path: Absolute path in the session.
        policy: How; the service's default when None.
        beta_wait_for_completion: Whether `create` waits for the files; None means yes.
    """

    context_id: str = attrs.field(validator=not_blank)
    path: str = attrs.field(validator=not_blank)
    policy: SyncPolicy | None = None
    beta_wait_for_completion: bool | None = None

    @classmethod
    def new(
        cls,
        context_id: str,
        path: str,
        policy: SyncPolicy | None = None,
        beta_wait_for_completion: bool | None = None,
    ) -> Self:
        """Make one; the same as calling the class."""
        return cls(context_id, path, policy, beta_wait_for_completion)

    def with_policy(self, policy: SyncPolicy) -> Self:
        """Set the policy of this object, and return it."""
        # Existing programs call this without taking what it returns; a copy would lose it.
        self.policy = policy
        return self


@attrs.define(eq=False, repr=False, init=False)
class CreateSessionParams(Value):
    """What a new session is asked to be.

    Attributes:
        labels: Names and values by which the session can be listed.
        image_id: Image to start from, such as ``linux_latest``; the service's default
            when None.
        context_syncs: Contexts that follow the session; those that `browser_context` needs
            are at the end.
        policy_id: Policy of the account that applies to the session.
        is_vpc: Whether the session uses a private network of the account.
        enable_browser_replay: Whether the browser is recorded; None leaves it to the service.
        framework: Agent framework that makes the call; told to the service.
        idle_release_timeout: Seconds without use after which the session ends.
        lifecycle_policy: When the session ends by itself, in minutes.
        beta_context_mounts: Contexts that are mounted rather than copied.
        browser_context: Context that keeps the data of the browser.
        beta_network_id: Network of the account that the session joins.
        extra_configs: Settings that only some images have.
        load_skills: Whether the session gets skills.
        skill_names: Which ones; all of the image when empty.
    """

    labels: dict[str, str]
    image_id: str | None
    context_syncs: list[ContextSync]
    policy_id: str | None
    is_vpc: bool
    enable_browser_replay: bool | None
    framework: str
    idle_release_timeout: int | None
    lifecycle_policy: LifecyclePolicy | None
    beta_context_mounts: list[BetaContextMount]
    browser_context: BrowserContext | None
    beta_network_id: str | None
    extra_configs: ExtraConfigs | None
    load_skills: bool | None
    skill_names: list[str] | None

    def __init__(
        self,
        labels: Mapping[str, str] | None = None,
        image_id: str | None = None,
        *more: object,
        context_syncs: Sequence[ContextSync] | None = None,
        policy_id: str | None = None,
        is_vpc: bool | None = None,
        enable_browser_replay: bool | None = None,
        framework: str | None = None,
        idle_release_timeout: int | None = None,
        lifecycle_policy: LifecyclePolicy | None = None,
        beta_context_mounts: Sequence[BetaContextMount] | None = None,
        browser_context: BrowserContext | None = None,
        beta_network_id: str | None = None,
        extra_configs: ExtraConfigs | None = None,
        load_skills: bool | None = None,
        skill_names: Sequence[str] | None = None,
    ) -> None:
        """Say what the session is to be; see the attributes.

        Args:
            labels: Names and values by which the session can be listed.
            image_id: Image to start from.
            more: Further values without names, in the order of either generation of the
                vendor's class; which one is told by their types. Name them instead.
            context_syncs: Contexts that follow the session.
            policy_id: Policy of the account that applies to the session.
            is_vpc: Whether the session uses a private network of the account.
            enable_browser_replay: Whether the browser is recorded.
            framework: Agent framework that makes the call.
            idle_release_timeout: Seconds without use after which the session ends; cannot be
                given with `lifecycle_policy`.
            lifecycle_policy: When the session ends by itself.
            beta_context_mounts: Contexts that are mounted rather than copied.
            browser_context: Context that keeps the data of the browser.
            beta_network_id: Network of the account that the session joins.
            extra_configs: Settings that only some images have.
            load_skills: Whether the session gets skills; naming some means yes.
            skill_names: Which ones.

        Raises:
            InvalidInputError: A value cannot be used, or two contradict each other.
        """
        given: dict[str, Any] = {
            "context_syncs": context_syncs,
            "policy_id": policy_id,
            "is_vpc": is_vpc,
            "enable_browser_replay": enable_browser_replay,
            "framework": framework,
            "idle_release_timeout": idle_release_timeout,
            "lifecycle_policy": lifecycle_policy,
            "beta_context_mounts": beta_context_mounts,
            "browser_context": browser_context,
            "beta_network_id": beta_network_id,
            "extra_configs": extra_configs,
            "load_skills": load_skills,
            "skill_names": skill_names,
        }
        if more:
            from ._checks import named_values

            given = named_values(more, given)
        syncs = _instances("context_syncs", given["context_syncs"], ContextSync)
        given["is_vpc"] = bool(given["is_vpc"])
        given["framework"] = given["framework"] or ""
        given["beta_context_mounts"] = _mounts(given["beta_context_mounts"])
        if any(given[name] not in (None, []) for name in _RARE):
            from ._checks import check_rare

            syncs = check_rare(given, syncs)
        given["context_syncs"] = syncs
        labels = {} if labels is None else check_labels(labels)
        cast("Any", self).__attrs_init__(labels=labels, image_id=image_id, **given)


_RARE = {
    "idle_release_timeout",
    "lifecycle_policy",
    "beta_context_mounts",
    "browser_context",
    "extra_configs",
    "skill_names",
}


def _mounts(values: Sequence[Any] | None) -> list[Any]:
    if not values:
        return []
    from .mounts import BetaContextMount

    return _instances("beta_context_mounts", values, BetaContextMount)


def _instances(name: str, values: Sequence[Any] | None, kind: type[Any]) -> list[Any]:
    if isinstance(values, list | tuple | None):
        items = list(cast("Sequence[object]", values or ()))
        if all(isinstance(item, kind) for item in items):
            return items
    known = f"a list of {kind.__name__} objects"
    raise InvalidInputError(f"{name} must be {known}, not {values!r:.80}")
