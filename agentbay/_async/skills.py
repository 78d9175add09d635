"""Skills: instructions with files, which sessions can get."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._results.base import raising, reported
from .._results.sessions import OperationResult
from .._results.skills import SkillsMetadataResult
from ..errors import InvalidInputError, SkillsError
from ..protocol._checks import as_dict, as_texts
from ..protocol.skills import (
    BindSkills,
    ContextSkills,
    GetSkills,
    ListSkills,
    SkillInfo,
    UnbindSkills,
)

if TYPE_CHECKING:
    from .client import AsyncAgentBay

_ROOT = "/home/wuying/skills"


class AsyncBetaSkillsService:
    """The skills of the account.

    A session gets skills with `CreateSessionParams.load_skills`; those of a context come
    with the context.

    Example:
        ```python
        found = await bay.beta_skills.get_metadata(skill_names=["pdf"])
        params = CreateSessionParams(load_skills=True, skill_names=["pdf"])
        ```
    """

    def __init__(self, agent_bay: AsyncAgentBay, skills_root: str | None = None) -> None:
        self._client = agent_bay.client
        self._region_id = agent_bay.region_id
        self._root = skills_root

    @raising(SkillsError)
    async def get_metadata(
        self,
        image_id: str | None = None,
        skill_names: Sequence[str] | None = None,
        skill_ids: Sequence[str] | None = None,
    ) -> SkillsMetadataResult:
        """Tell what skills there are, and where a session has their files.

        Args:
            image_id: Only skills of this image; plays no part for `skill_ids`.
            skill_names: Only skills of these names.
            skill_ids: Only skills with these identifiers; cannot be given with `skill_names`.

        Raises:
            SkillsError: The service refused, or the arguments contradict each other (nothing
                was sent); also a `RuntimeError`.
        """
        if skill_ids is not None:
            if skill_names is not None:
                raise InvalidInputError("give skill_names or skill_ids, not both")
            return await self._by_ids(as_texts("skill_ids", skill_ids))
        names = as_texts("skill_names", skill_names or ()) or None
        call = GetSkills(image_id=image_id or None, skill_group_ids=names)
        reply = await self._client.send(call)
        skills = [skill for skill in reply.value.skills if skill.name]
        return SkillsMetadataResult(reply.request_id, True, skills, reply.value.skill_path)

    @raising(SkillsError)
    async def list_metadata(self) -> list[SkillInfo]:
        """List all skills of the account.

        Raises:
            SkillsError: The service refused; also a `RuntimeError`.
        """
        return (await self._by_ids(None)).skills

    @reported(OperationResult[bool])
    async def bind_context(
        self, items: Sequence[ContextSkills | Mapping[str, Any]]
    ) -> OperationResult[bool]:
        """Add skills to contexts.

        Args:
            items: What to add where, as `ContextSkills` or as mappings with ``context_id``,
                ``skill_ids`` and ``path``.

        Example:
            ```python
            await bay.beta_skills.bind_context([ContextSkills(context.id, ["s-1"], "/skills")])
            ```
        """
        call = BindSkills(_items(items), self._region_id or None)
        reply = await self._client.send(call)
        return OperationResult(reply.request_id, True, True)

    @reported(OperationResult[bool])
    async def unbind_context(
        self, items: Sequence[ContextSkills | Mapping[str, Any]]
    ) -> OperationResult[bool]:
        """Take skills away from contexts.

        Args:
            items: What to take away where; as for `bind_context`.
        """
        call = UnbindSkills(_items(items), self._region_id or None)
        reply = await self._client.send(call)
        return OperationResult(reply.request_id, True, True)

    async def _by_ids(self, skill_ids: list[str] | None) -> SkillsMetadataResult:
        reply = await self._client.send(ListSkills(skill_ids))
        root = self._root or os.environ.get("AGENTBAY_OFFICIAL_SKILLS_ROOT") or _ROOT
        skills = [skill for skill in reply.value if skill.name]
        return SkillsMetadataResult(reply.request_id, True, skills, root)


def _items(items: Sequence[ContextSkills | Mapping[str, Any]]) -> list[ContextSkills]:
    if not isinstance(items, list | tuple) or not items:
        raise InvalidInputError(f"items must be a list with an item, not {items!r:.80}")
    return [_item(item) for item in items]


def _item(item: ContextSkills | Mapping[str, Any]) -> ContextSkills:
    if isinstance(item, ContextSkills):
        return item
    parts = as_dict("an item", item)
    try:
        parts["skill_ids"] = as_texts("skill_ids", parts["skill_ids"])
        return ContextSkills(**parts)
    except (KeyError, TypeError) as exc:
        raise InvalidInputError(
            f"an item has context_id, skill_ids and path; this does not: {item!r:.80}"
        ) from exc
