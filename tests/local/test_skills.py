"""Skills of a local directory."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agentbay.local import skills
from agentbay.local._sandbox.bwrap import Isolation
from agentbay.local.engine import EngineOptions

from .engines import Requests, engine_requests

PDF = "---\nname: pdf\ndescription: 'Reads and writes PDF files'\n---\n\n# Text\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "skills"
    for name, text in {"pdf": PDF, "plain": "\n# Plain words\nmore\n", "web": "---\nopen"}.items():
        (directory / name / "scripts").mkdir(parents=True)
        (directory / name / "SKILL.md").write_text(text)
        (directory / name / "scripts" / "run.sh").write_text("echo " + name)
        (directory / name / "scripts" / "run.sh").chmod(0o755)
    (directory / "no-skill").mkdir()
    (directory / ".hidden").mkdir()
    return directory


@pytest.fixture
async def ask(tmp_path: Path, directory: Path) -> AsyncGenerator[Requests, None]:
    options = EngineOptions(tmp_path / "home", Isolation(network="none"), skills=directory)
    async with engine_requests(options) as requests:
        yield requests


async def _shell(ask: Requests, session: str, command: str) -> str:
    arguments = json.dumps({"command": command})
    data = await ask.data("CallMcpTool", SessionId=session, Name="shell", Args=arguments)
    return str(json.loads(data["content"][0]["text"])["stdout"])


async def test_skills_are_told_with_what_they_say_about_themselves(ask: Requests) -> None:
    group = await ask.data("GetSkillMetaData", ImageId="linux_latest")
    listed = await ask.data("ListSkillMetaData", SkillIdList='["pdf"]')

    assert group["SkillPath"] == "/home/wuying/skills"
    found = {entry["Name"]: entry["Description"] for entry in group["MetaDataList"]}
    assert found == {"pdf": "Reads and writes PDF files", "plain": "Plain words", "web": "---"}
    assert listed == [
        {"Name": "pdf", "Description": "Reads and writes PDF files", "SkillId": "pdf"}
    ]


async def test_a_session_gets_the_skills_it_asks_for(ask: Requests, directory: Path) -> None:
    some = await ask.data("CreateMcpSession", LoadSkill="True", Skills='["pdf","web"]')
    every = await ask.data("CreateMcpSession", LoadSkill="True")
    none = await ask.data("CreateMcpSession")

    assert await _shell(ask, some["SessionId"], "ls skills") == "pdf\nweb\n"
    assert await _shell(ask, some["SessionId"], "skills/pdf/scripts/run.sh") == "pdf\n"
    assert await _shell(ask, every["SessionId"], "ls ~/skills") == "pdf\nplain\nweb\n"
    assert await _shell(ask, none["SessionId"], "ls skills 2>/dev/null") == ""


async def test_an_engine_that_runs_finds_a_directory_that_is_named_later(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EngineOptions(tmp_path / "home", Isolation(network="none"))
    async with engine_requests(options) as ask:
        before = await ask("CreateMcpSession", LoadSkill="True")
        monkeypatch.setenv(skills.SETTING, str(directory))
        session = await ask.data("CreateMcpSession", LoadSkill="True", Skills='["pdf"]')
        listed = await ask.data("ListSkillMetaData", SkillIdList='["pdf"]')

        assert before["Code"] == "Skill.NotFound"
        assert await _shell(ask, session["SessionId"], "ls skills") == "pdf\n"
        assert [entry["Name"] for entry in listed] == ["pdf"]


async def test_a_session_may_change_its_copy_and_only_that(ask: Requests, directory: Path) -> None:
    session = (await ask.data("CreateMcpSession", LoadSkill="True"))["SessionId"]

    await _shell(ask, session, "echo changed > skills/pdf/SKILL.md; rm -r skills/web")

    assert await _shell(ask, session, "cat skills/pdf/SKILL.md") == "changed\n"
    assert (directory / "pdf" / "SKILL.md").read_text() == PDF
    assert (directory / "web").is_dir()


async def test_a_link_in_a_skill_leads_to_nothing_of_the_host(
    ask: Requests, directory: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("the-secret")
    (directory / "pdf" / "link").symlink_to(tmp_path / "secret")

    session = (await ask.data("CreateMcpSession", LoadSkill="True"))["SessionId"]

    assert await _shell(ask, session, "cat skills/pdf/link 2>/dev/null") == ""


@pytest.mark.parametrize("name", ["unknown", "../pdf", "no-skill", "", ".hidden"])
async def test_an_unknown_skill_is_refused_with_those_that_there_are(
    ask: Requests, name: str
) -> None:
    for reply in (
        await ask("CreateMcpSession", LoadSkill="True", Skills=json.dumps([name])),
        await ask("ListSkillMetaData", SkillIdList=json.dumps([name])),
    ):
        assert reply["Code"] == "Skill.NotFound"
        assert "pdf, plain, web" in reply["Message"]
    assert await ask.data("ListSession", Labels="{}") == []


async def test_a_skill_that_is_too_large_is_refused(
    ask: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skills, "_MOST", 1)
    reply = await ask("CreateMcpSession", LoadSkill="True", Skills='["pdf"]')
    assert reply["Code"] == "Skill.TooLarge"


async def test_skills_of_contexts_are_refused_with_the_reason(ask: Requests) -> None:
    item = json.dumps([{"ContextId": "c", "SkillIds": ["pdf"], "Path": "/p"}])
    reply = await ask("BindContextSkillAsync", ContextSkillBindItems=item)
    assert reply["Code"] == "InvalidAction.NotFound"
    assert "load_skills" in reply["Message"]
