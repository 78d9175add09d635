"""How long a session lives."""

from __future__ import annotations

from typing import Any, cast

import attrs

from .._value import Value
from ..errors import InvalidInputError

# Minutes.
_IDLE, _RUNTIME = 5, 30


def check_positive(name: str, value: object) -> None:
    """Refuse anything but an int above zero."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise InvalidInputError(f"{name} must be a positive integer, not {value!r}")


@attrs.define(eq=False, repr=False, init=False)
class LifecyclePolicy(Value):
    """When the service ends a session by itself.

    Attributes:
        idle_release_timeout: Minutes without use after which it ends, 1 or more.
        max_runtime: Minutes after which it ends in any case, 1 or more.
        manual_release: The service never ends it; the two limits are 0.
    """

    idle_release_timeout: int
    max_runtime: int
    manual_release: bool

    def __init__(
        self,
        idle_release_timeout: int | None = None,
        max_runtime: int | None = None,
        manual_release: bool = False,
    ) -> None:
        """Set limits, or none at all.

        Args:
            idle_release_timeout: Minutes; 5 by default.
            max_runtime: Minutes; 30 by default.
            manual_release: Let only `delete` end the session. Neither limit can be given then.

        Raises:
            InvalidInputError: A limit is no positive integer, or is given with
                `manual_release`.
        """
        limits = {"idle_release_timeout": idle_release_timeout, "max_runtime": max_runtime}
        for name, value in limits.items():
            if manual_release and value:
                raise InvalidInputError(f"manual_release=True sets no limits: leave out {name}")
            if value is not None and not manual_release:
                check_positive(name, value)
        if manual_release:
            cast("Any", self).__attrs_init__(0, 0, True)
        else:
            cast("Any", self).__attrs_init__(
                _IDLE if idle_release_timeout is None else idle_release_timeout,
                _RUNTIME if max_runtime is None else max_runtime,
                False,
            )
