"""Skills: instructions with files, which sessions can get."""

from __future__ import annotations

from typing import Any

import attrs

from ..errors import InvalidInputError
from ._calls import Action, Envelope, not_blank
from ._checks import as_texts
from ._wire import Pascal, named


@attrs.frozen
class SkillInfo(Pascal):
    """What is known about a skill.

    Attributes:
        name: Its name, and that of its directory.
        description: What it is for.
        skill_id: Identifier; empty when the service does not tell.
    """

    name: str = ""
    description: str = ""
    skill_id: str = ""


@attrs.frozen
class SkillGroup(Pascal):
    """The skills of an image, and the directory in which they are."""

    skill_path: str = ""
    skills: list[SkillInfo] = named("MetaDataList", factory=list)


def _some_skills(_: Any, __: attrs.Attribute[Any], value: object) -> None:
    found = as_texts("skill_ids", value)
    if not found or not all(item.strip() for item in found):
        raise InvalidInputError(f"skill_ids must be a list of text with an entry, not {value!r}")


@attrs.frozen
class ContextSkills(Pascal):
    """Skills that belong to a context.

    Attributes:
        context_id: Which context.
        skill_ids: Which skills.
        path: Where in the context.
    """

    context_id: str = attrs.field(validator=not_blank)
    skill_ids: list[str] = attrs.field(validator=_some_skills)
    path: str = ""


@attrs.frozen(kw_only=True)
class GetSkills(Action[SkillGroup], action="GetSkillMetaData", returns=SkillGroup):
    """Tell which skills an image has, and where."""

    image_id: str | None = None
    skill_group_ids: list[str] | None = named(json_text=True, default=None)

    def payload(self, reply: Envelope) -> Any:
        """The skills; an image without any may come without data."""
        return super().payload(reply) or {}


@attrs.frozen
class ListSkills(Action[list[SkillInfo]], action="ListSkillMetaData", returns=list[SkillInfo]):
    """Tell what certain skills are, or all."""

    skill_id_list: list[str] | None = named(json_text=True, default=None)

    def payload(self, reply: Envelope) -> Any:
        """The skills; there may be none."""
        return super().payload(reply) or []


@attrs.frozen
class BindSkills(Action[None], action="BindContextSkillAsync"):
    """Add skills to contexts."""

    context_skill_bind_items: list[ContextSkills] = named(json_text=True)
    login_region_id: str | None = None


@attrs.frozen
class UnbindSkills(Action[None], action="UnbindContextSkillAsync"):
    """Take skills away from contexts."""

    context_skill_unbind_items: list[ContextSkills] = named(json_text=True)
    login_region_id: str | None = None
