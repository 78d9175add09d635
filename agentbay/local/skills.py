"""Skills: directories of this machine, with a SKILL.md each, that sessions get a copy of."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ..protocol.skills import GetSkills, ListSkills, SkillGroup, SkillInfo
from ._dispatch import handles
from ._errors import EngineError
from ._sandbox.bwrap import HOME
from ._threads import in_thread
from .engine import Engine
from .images import check_image

ROOT = f"{HOME}/skills"
"""Where the skills of a session are."""

SETTING = "AGENTBAY_LOCAL_SKILLS"
"""The variable that says where the skills of this machine are."""

_DESCRIPTION = "SKILL.md"
# Bytes of a description that are read, and bytes and entries of the skills of one session.
_HEAD, _LARGEST, _MOST = 64 * 1024, 256 * 1024 * 1024, 20_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@handles(GetSkills)
async def get_skills(engine: Engine, call: GetSkills) -> SkillGroup:
    check_image(call.image_id)
    names = call.skill_group_ids or None
    found = await in_thread(find, directory_of(engine), names)
    infos = await in_thread(_describe, found.items())
    return SkillGroup(ROOT, [SkillInfo(info.name, info.description) for info in infos])


@handles(ListSkills)
async def list_skills(engine: Engine, call: ListSkills) -> list[SkillInfo]:
    found = await in_thread(find, directory_of(engine), call.skill_id_list)
    return await in_thread(_describe, found.items())


def directory_of(engine: Engine) -> Path | None:
    """Where the skills are that an engine offers; None when nothing says so."""
    named = os.environ.get(SETTING, "").strip()
    return engine.options.skills or (Path(named).expanduser().absolute() if named else None)


def copies(directory: Path | None, names: list[str] | None) -> dict[str, Path]:
    """What a session gets that asks for skills: directories, by their path in the session.

    Raises:
        EngineError: There is no such skill, or they are too large.
    """
    found = find(directory, names)
    if not found:
        raise EngineError("Skill.NotFound", _none(directory))
    for name, path in found.items():
        _check_readable(name, path)
    return {f"{ROOT}/{name}": path for name, path in found.items()}


def find(directory: Path | None, names: list[str] | None) -> dict[str, Path]:
    """The skills of these names, or all.

    Raises:
        EngineError: There is no skill of that name.
    """
    found = _all(directory)
    for name in names or ():
        if name not in found:
            known = f"there are {', '.join(found)}" if found else _none(directory)
            raise EngineError("Skill.NotFound", f"there is no skill {name:.80}: {known}")
    return found if names is None else {name: found[name] for name in names}


def _all(directory: Path | None) -> dict[str, Path]:
    if directory is None or not directory.is_dir():
        return {}
    return {
        path.name: path
        for path in sorted(directory.iterdir())
        if _NAME.fullmatch(path.name) and (path / _DESCRIPTION).is_file()
    }


def _none(directory: Path | None) -> str:
    if directory is None:
        return f"{SETTING} names no directory of skills"
    return f"{directory} has no directory with a {_DESCRIPTION}"


def _describe(found: Iterable[tuple[str, Path]]) -> list[SkillInfo]:
    return [SkillInfo(name, _description(path / _DESCRIPTION), name) for name, path in found]


def _description(path: Path) -> str:
    """What the head of a skill's text says about it; its first line of text otherwise."""
    with path.open("rb") as file:
        lines = file.read(_HEAD).decode(errors="replace").splitlines()
    if lines[:1] == ["---"] and "---" in lines[1:]:
        end = lines.index("---", 1)
        for line in lines[1:end]:
            name, _, value = line.partition(":")
            if name.strip() == "description":
                return value.strip().strip("\"'")
        lines = lines[end + 1 :]
    text = (line.strip("# ").strip() for line in lines)
    return next((line for line in text if line), "")


def _check_readable(name: str, path: Path) -> None:
    """Refuse a skill that cannot be copied, or whose copy would fill the session."""
    size = entries = 0
    for parent, _, files in os.walk(path, onerror=_raise):
        for file in files:
            size += os.lstat(os.path.join(parent, file)).st_size
            entries += 1
    if size > _LARGEST or entries > _MOST:
        raise EngineError(
            "Skill.TooLarge", f"skill {name} has {entries:,} files of {size >> 20} MiB"
        )


def _raise(error: OSError) -> None:
    raise EngineError("Skill.NotReadable", f"a skill cannot be read: {error}") from error
