"""What a new session is asked to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import attrs

from ._value import Value
from .errors import InvalidInputError
from .protocol._checks import check_labels

if TYPE_CHECKING:
    from .protocol.contexts import SyncPolicy


def _not_blank(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{attribute.name} must be text that is not blank, not {value!r}")


@attrs.frozen(eq=False, repr=False)
class ContextSync(Value):
    """A context that is kept in step with a path of a session.

    Attributes:
        context_id: Which context.
        path: Absolute path in the session.
        policy: How; the service's default when None.
        beta_wait_for_completion: Whether `create` waits for the files; None means yes.
    """

    context_id: str = attrs.field(validator=_not_blank)
    path: str = attrs.field(validator=_not_blank)
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
        """A copy with another policy."""
        return attrs.evolve(self, policy=policy)


def _labels(value: Mapping[str, str] | None) -> dict[str, str]:
    return {} if value is None else check_labels(value)


def _syncs(value: Sequence[ContextSync] | None) -> list[ContextSync]:
    syncs = list(value or ())
    for sync in syncs:
        if not isinstance(sync, ContextSync):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"context_syncs must hold ContextSync objects, not {sync!r}")
    return syncs


@attrs.frozen(eq=False, repr=False)
class CreateSessionParams(Value):
    """What a new session is asked to be.

    Attributes:
        labels: Names and values by which the session can be listed.
        image_id: Image to start from, such as ``linux_latest``; the service's default
            when None.
        context_syncs: Contexts that follow the session.
        policy_id: Policy of the account that applies to the session.
        is_vpc: Whether the session uses a private network of the account.
        enable_browser_replay: Whether the browser is recorded; None leaves it to the service.
        framework: Agent framework that makes the call; told to the service.

    Raises:
        InvalidInputError: Labels that are not text or are blank, or a context that is not
            a `ContextSync`.
    """

    labels: dict[str, str] = attrs.field(default=None, converter=_labels)
    image_id: str | None = None
    context_syncs: list[ContextSync] = attrs.field(default=None, converter=_syncs)
    policy_id: str | None = attrs.field(default=None, kw_only=True)
    is_vpc: bool = attrs.field(default=False, kw_only=True)
    enable_browser_replay: bool | None = attrs.field(default=None, kw_only=True)
    framework: str = attrs.field(default="", kw_only=True)
