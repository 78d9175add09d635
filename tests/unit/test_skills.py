"""Skills of the account, against a service that lives in the test."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from agentbay._async.skills import AsyncBetaSkillsService
from agentbay.errors import InvalidInputError, SkillsError
from agentbay.protocol.skills import ContextSkills, SkillInfo

from .service import Service, always, client, ok


def skills(service: Service, **options: Any) -> AsyncBetaSkillsService:
    return AsyncBetaSkillsService(client(service), **options)


GROUP = {
    "SkillPath": "/skills",
    "MetaDataList": [{"Name": "pdf", "Description": "d", "SkillId": "s-1"}, {"Description": "x"}],
}


async def test_skills_of_an_image_are_found_by_their_names() -> None:
    service = Service(always(lambda: ok(GROUP)))
    result = await skills(service).get_metadata("img", ["a", "b"])
    # One without a name is left out; existing clients lose the identifier.
    assert result.unwrap() == [SkillInfo("pdf", "d", "s-1")]
    assert (result.skills_root_path, result.success) == ("/skills", True)
    assert service.actions == ["GetSkillMetaData"]
    assert service.sent[0].parameters == {"ImageId": "img", "SkillGroupIds": '["a","b"]'}


@pytest.mark.parametrize("data", [None, {}, "", {"MetaDataList": []}])
async def test_there_may_be_no_skills(data: Any) -> None:
    service = Service(always(lambda: ok(data)))
    assert (await skills(service).get_metadata()).skills == []
    assert service.sent[0].parameters == {}


async def test_skills_are_found_by_their_identifiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTBAY_OFFICIAL_SKILLS_ROOT", raising=False)
    service = Service(always(lambda: ok([{"Name": "n", "Description": "d", "SkillId": "i"}, {}])))
    result = await skills(service).get_metadata(skill_ids=["i"])
    assert result.skills == [SkillInfo("n", "d", "i")]
    assert result.skills_root_path == "/home/wuying/skills"
    assert service.actions == ["ListSkillMetaData"]
    assert service.sent[0].parameters == {"SkillIdList": '["i"]'}
    monkeypatch.setenv("AGENTBAY_OFFICIAL_SKILLS_ROOT", "/elsewhere")
    assert (await skills(service).get_metadata(skill_ids=[])).skills_root_path == "/elsewhere"
    own = skills(service, skills_root="/own")
    assert (await own.get_metadata(skill_ids=["i"])).skills_root_path == "/own"


async def test_all_skills_are_listed() -> None:
    service = Service(always(lambda: ok([{"Name": "n", "Description": "d"}])))
    assert await skills(service).list_metadata() == [SkillInfo("n", "d")]
    assert service.sent[0].parameters == {}


async def test_metadata_that_cannot_be_read_raises() -> None:
    service = Service(always(lambda: ok(Success=False, Code="Bad", Message="no")))
    with pytest.raises(SkillsError, match=r"\[Bad\] no") as failed:
        await skills(service).get_metadata()
    assert isinstance(failed.value, RuntimeError)
    assert (failed.value.code, failed.value.request_id) == ("Bad", "r-1")
    with pytest.raises(SkillsError):
        await skills(Service(always(lambda: ok(5)))).list_metadata()


@pytest.mark.parametrize(
    "wanted", [{"skill_names": ["a"], "skill_ids": ["b"]}, {"skill_names": "a"}, {"skill_ids": [1]}]
)
async def test_a_question_that_makes_no_sense_is_refused_before_sending(wanted: Any) -> None:
    service = Service(always(ok))
    with pytest.raises(SkillsError) as failed:
        await skills(service).get_metadata(**wanted)
    assert isinstance(failed.value.__cause__, InvalidInputError)
    assert service.sent == []


@pytest.mark.parametrize(
    "item",
    [
        ContextSkills("c", ["a", "b"], "/p"),
        {"context_id": "c", "skill_ids": ("a", "b"), "path": "/p"},
    ],
)
async def test_skills_are_added_and_taken_away(item: Any) -> None:
    # The blocking client that exists sends nothing at all.
    service = Service(always(ok))
    assert (await skills(service).bind_context([item])).unwrap() is True
    assert (await skills(service).unbind_context([item])).unwrap() is True
    assert service.actions == ["BindContextSkillAsync", "UnbindContextSkillAsync"]
    for sent, name in zip(service.sent, ("Bind", "Unbind"), strict=True):
        items = json.loads(sent.form[f"ContextSkill{name}Items"])
        assert items == [{"ContextId": "c", "SkillIds": ["a", "b"], "Path": "/p"}]
        assert sent.form["LoginRegionId"] == "cn-hangzhou"


@pytest.mark.parametrize(
    "items",
    [
        [],
        [{}],
        [{"context_id": "c"}],
        [{"context_id": "", "skill_ids": ["a"]}],
        [{"context_id": "c", "skill_ids": []}],
        [{"context_id": "c", "skill_ids": "abc"}],
        [{"context_id": "c", "skill_ids": ["a"], "other": 1}],
    ],
)
async def test_items_that_make_no_sense_are_refused_before_sending(items: Any) -> None:
    service = Service(always(ok))
    assert isinstance((await skills(service).bind_context(items)).error, InvalidInputError)
    assert isinstance((await skills(service).unbind_context(items)).error, InvalidInputError)
    assert service.sent == []


async def test_a_busy_service_is_asked_again() -> None:
    busy = httpx.Response(503, json={"Code": "ServiceUnavailable", "Success": False})
    answers = iter([busy, ok(GROUP)])
    service = Service(lambda _: next(answers))
    assert (await skills(service).get_metadata()).skills
    assert len(service.sent) == 2
