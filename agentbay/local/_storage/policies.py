"""What the policy of a context says about a transfer."""

from __future__ import annotations

import posixpath
import re

from ...protocol.contexts import PersistenceItem
from ...protocol.sync_policy import SyncPolicy, UploadMode
from .._errors import EngineError
from ..guest.selection import Selection
from .store import Store

_DAY = 24 * 3600
_FOREVER = "Lifecycle_Forever"
# A pattern is matched against every path of a tree.
_LONGEST_PATTERN = 500
# What sessions see of the machine itself: read-only, or made by its kernel.
_MACHINE = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "proc", "dev")


def check_policy(policy: SyncPolicy | None) -> None:
    """Refuse a policy that cannot be followed.

    Raises:
        EngineError: A regular expression of a white list is none.
    """
    for rule in (policy or SyncPolicy()).bw_list.white_lists:
        patterns = [rule.path] if rule.is_path_regex else []
        patterns += rule.exclude_paths if rule.is_exclude_regex else []
        for pattern in patterns:
            _check_pattern(pattern)


def saves(item: PersistenceItem) -> bool:
    """Whether files go into the context when the session ends."""
    return (item.policy or SyncPolicy()).upload_policy.auto_upload


def selection(policy: SyncPolicy | None, below: str = "") -> Selection:
    """The paths that take part. A list without entries names none, and so restricts nothing."""
    rules = (policy or SyncPolicy()).bw_list.white_lists
    plain = [rule.path.strip("/") for rule in rules if not rule.is_path_regex]
    return Selection(
        None if "" in plain or not rules else plain,
        [p.strip("/") for rule in rules if not rule.is_exclude_regex for p in rule.exclude_paths],
        include_patterns=[rule.path for rule in rules if rule.is_path_regex],
        exclude_patterns=[p for rule in rules if rule.is_exclude_regex for p in rule.exclude_paths],
        below=below,
    )


def archive_roots(policy: SyncPolicy | None) -> list[str] | None:
    """The paths that are kept as an archive each; None when files are kept one by one."""
    policy = policy or SyncPolicy()
    if policy.upload_policy.upload_mode is not UploadMode.ARCHIVE:
        return None
    rules = policy.bw_list.white_lists
    plain = [rule.path.strip("/") for rule in rules]
    return [""] if not rules or any(rule.is_path_regex for rule in rules) else plain


def unarchived(policy: SyncPolicy | None) -> list[str]:
    """The paths that are kept one by one beside an archive."""
    paths = (policy or SyncPolicy()).upload_policy.archive_exclude_paths or []
    return [path.strip("/") for path in paths]


def recycling(policy: SyncPolicy) -> dict[str, int]:
    """Seconds that files stay in the context, by the path that they are at or below."""
    rule = policy.recycle_policy
    if rule.lifecycle == _FOREVER:
        return {}
    days = int(re.sub(r"\D", "", rule.lifecycle))
    return {path.strip("/"): days * _DAY for path in rule.paths}


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as exc:
        reason = f"{pattern!r:.100} is no regular expression: {exc}"
        raise EngineError("InvalidParameter", reason) from exc
    if len(pattern) > _LONGEST_PATTERN:
        reason = f"a regular expression has {_LONGEST_PATTERN} characters at most"
        raise EngineError("InvalidParameter", reason)


def check_bindings(store: Store, items: list[PersistenceItem], *, checked: int = 0) -> None:
    """Refuse contexts that a session cannot have; the first ones it may have already.

    Raises:
        EngineError: A path is no place for a context, two contexts share one, a policy cannot
            be followed, or there is no such context.
    """
    for item in items[checked:]:
        if item.type or item.mount_config:
            reason = "the local engine copies contexts and cannot mount them: use ContextSync"
            raise EngineError("Unsupported", reason)
        check_policy(item.policy)
        if store.get_context(id=item.context_id) is None:
            raise EngineError("Context.NotFound", f"there is no context {item.context_id}")
    check_paths(items)


def check_paths(items: list[PersistenceItem]) -> None:
    """Refuse paths that contexts cannot have beside each other.

    Raises:
        EngineError: One is not absolute or shows the machine, or two contexts share one.
    """
    paths = [posixpath.normpath(item.path) for item in items]
    for number, path in enumerate(paths):
        if not path.startswith("/") or path == "/":
            raise EngineError(
                "InvalidParameter", f"a context needs an absolute path, not {items[number].path!r}"
            )
        if (top := path.lstrip("/").partition("/")[0]) in _MACHINE:
            raise EngineError(
                "InvalidParameter",
                f"a context cannot be at {path}: /{top} is this machine's; use another directory, "
                "such as one below /home/wuying",
            )
        others = paths[:number] + paths[number + 1 :]
        if any(path == other or other.startswith(f"{path}/") for other in others):
            raise EngineError("PathAlreadyBound", f"two contexts share the path {path}")
