"""The rarer arguments of a new session: their order, and what fits together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from ..errors import InvalidInputError
from ..protocol.extra_configs import ExtraConfigs
from . import ContextSync
from .browser import BrowserContext
from .lifecycle import LifecyclePolicy, check_positive


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is(kind: type[Any]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kind)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# What comes after the labels and the image, in each generation of the vendor's class.
_ORDERS: tuple[dict[str, Callable[[object], bool]], ...] = (
    {
        "context_syncs": _is_list,
        "browser_context": _is(BrowserContext),
        "is_vpc": _is(bool),
        "policy_id": _is(str),
        "enable_browser_replay": _is(bool),
        "extra_configs": _is(ExtraConfigs),
        "framework": _is(str),
    },
    {
        "idle_release_timeout": _is_number,
        "lifecycle_policy": _is(LifecyclePolicy),
        "context_syncs": _is_list,
        "beta_context_mounts": _is_list,
        "browser_context": _is(BrowserContext),
        "policy_id": _is(str),
        "beta_network_id": _is(str),
        "enable_browser_replay": _is(bool),
        "extra_configs": _is(ExtraConfigs),
        "framework": _is(str),
        "load_skills": _is(bool),
        "skill_names": _is_list,
    },
)


def named_values(values: Sequence[object], given: dict[str, Any]) -> dict[str, Any]:
    """Give positional values their names; which order is meant is told by their types.

    Raises:
        InvalidInputError: They fit neither order, or both in different ways, or one of
            them is given by its name, too.
    """
    found = [named for order in _ORDERS if (named := _named(values, order)) is not None]
    if not found or any(named != found[0] for named in found):
        raise InvalidInputError(
            "after labels and image_id, give the arguments of CreateSessionParams by their names: "
            f"these fit {'both generations' if found else 'no generation'} of the class: {values!r}"
        )
    twice = [name for name in found[0] if given[name] is not None]
    if twice:
        raise InvalidInputError(f"{', '.join(twice)} is given twice")
    return {**given, **found[0]}


def _named(
    values: Sequence[object], order: dict[str, Callable[[object], bool]]
) -> dict[str, object] | None:
    if len(values) > len(order):
        return None
    pairs = list(zip(order.items(), values, strict=False))
    if not all(value is None or fits(value) for (_, fits), value in pairs):
        return None
    return {name: value for (name, _), value in pairs if value is not None}


def check_rare(given: dict[str, Any], syncs: list[ContextSync]) -> list[ContextSync]:
    """Refuse what does not fit together, and add the contexts that a browser needs.

    Raises:
        InvalidInputError: A value is of another type, or two contradict each other.
    """
    _check_lifetime(given)
    _check_skills(given)
    _check_kind("extra_configs", given["extra_configs"], ExtraConfigs)
    _check_kind("browser_context", given["browser_context"], BrowserContext)
    browser = cast("BrowserContext | None", given["browser_context"])
    needed = browser.get_all_context_syncs() if browser else []
    return [*syncs, *(sync for sync in needed if sync not in syncs)]


def _check_lifetime(given: dict[str, Any]) -> None:
    _check_kind("lifecycle_policy", given["lifecycle_policy"], LifecyclePolicy)
    idle = given["idle_release_timeout"]
    if idle is None:
        return
    check_positive("idle_release_timeout", idle)
    if given["lifecycle_policy"] is not None:
        raise InvalidInputError("give lifecycle_policy or idle_release_timeout, not both")


def _check_skills(given: dict[str, Any]) -> None:
    names = given["skill_names"]
    if not names:
        return
    if not _is_list(names) or not all(isinstance(name, str) for name in names):
        raise InvalidInputError(f"skill_names must be a list of text, not {names!r:.80}")
    if given["load_skills"] is False:
        raise InvalidInputError("skill_names loads skills: leave out load_skills=False")
    given.update(skill_names=list(names), load_skills=True)


def _check_kind(name: str, value: object, kind: type[Any]) -> None:
    if value is not None and not isinstance(value, kind):
        raise InvalidInputError(f"{name} must be of the class {kind.__name__}, not {value!r:.80}")
