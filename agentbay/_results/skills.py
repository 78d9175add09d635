"""The results of operations on skills."""

from __future__ import annotations

import attrs

from ..protocol.skills import SkillInfo
from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class SkillsMetadataResult(ApiResponse):
    """Skills, and the directory of a session in which they are.

    The files of a skill are in the directory of its name, below `skills_root_path`.
    """

    skills: list[SkillInfo] = attrs.field(factory=list[SkillInfo])
    skills_root_path: str = ""

    def unwrap(self) -> list[SkillInfo]:
        """Return the skills, or raise what went wrong."""
        self._check()
        return self.skills
