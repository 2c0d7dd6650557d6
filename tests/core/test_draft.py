"""A draft may be incomplete; its steps keep their order by kind; what people left is what they find."""

from __future__ import annotations

import pytest

from campana.core.campaign import CampaignFile
from campana.core.draft import MOST, Draft, DraftStep, Schedule, add_step, draft_of_file, move_step, read_draft, remove_step


def kinds(draft: Draft) -> list[tuple[str, str]]:
    return [(step.key, step.kind) for step in draft.steps]


def built() -> Draft:
    draft = Draft()
    for kind in ("follow_up", "fallback", "fallback"):
        draft = add_step(draft, kind)
    return draft


def test_a_draft_begins_with_an_empty_primary():
    assert kinds(Draft()) == [("s1", "primary")]
    assert not Draft().steps[0].chosen


def test_steps_stand_in_the_order_of_their_turns():
    assert kinds(built()) == [("s1", "primary"), ("s3", "fallback"), ("s4", "fallback"), ("s2", "follow_up")]


def test_fallbacks_change_places_among_themselves_only():
    assert kinds(move_step(built(), "s4", up=True))[1:3] == [("s4", "fallback"), ("s3", "fallback")]
    for key, up in (("s3", True), ("s4", False), ("s2", True), ("s1", False), ("none", True)):
        assert move_step(built(), key, up) == built()


def test_a_step_goes_and_its_key_is_free_again_but_the_primary_stays():
    assert kinds(remove_step(built(), "s3")) == [("s1", "primary"), ("s4", "fallback"), ("s2", "follow_up")]
    assert remove_step(built(), "s1") == built()
    assert ("s3", "fallback") in kinds(add_step(remove_step(built(), "s3"), "fallback"))


def test_there_is_an_end_to_adding():
    draft = Draft()
    for _ in range(20):
        draft = add_step(add_step(draft, "fallback"), "primary")
    assert len(draft.of_kind("fallback")) == MOST["fallback"]
    assert len(draft.of_kind("primary")) == 1


def test_what_was_left_is_found_again():
    step = DraftStep(key="s1", kind="primary", template="visit", language="es_MX", values={"1": "{{name}}"}, deadline=6)
    draft = Draft(steps=(step,), schedule=Schedule(when="later", date="2026-03-08", time="02:30", zone="America/New_York"))
    assert read_draft(draft.model_dump_json(by_alias=True)) == draft
    assert draft.schedule.start == "2026-03-08 02:30 America/New_York"
    assert list(draft.texts()) == [(step, "1", "{{name}}")]


@pytest.mark.parametrize("definition", ["", "{", '{"name": "x", "primary": {"from": "sms", "text": "Hi"}}'])
def test_what_is_no_draft_is_none(definition):
    assert read_draft(definition) is None


def test_a_campaign_file_becomes_a_draft():
    file = CampaignFile.model_validate(
        {
            "name": "Visits",
            "primary": {"from": "wa", "template": "visit", "language": "es", "values": {"1": "{{name}}"}},
            "fallbacks": [{"from": "gone", "text": "Hi"}],
            "follow_ups": [{"from": "wa", "text": "Still there?", "after": "3 days"}],
        }
    )
    draft = draft_of_file(file, {"wa": "ab" * 16})
    assert [(step.kind, step.sender, step.after) for step in draft.steps] == [
        ("primary", "ab" * 16, 1),
        ("fallback", "", 1),
        ("follow_up", "ab" * 16, 3),
    ]
