"""A draft may be incomplete; its steps keep their order by kind; what people left is what they find."""

from __future__ import annotations

import pytest

from campana.core.campaign import CampaignFile, Canary, Limits
from campana.core.draft import (
    MOST,
    Draft,
    DraftStep,
    FirstPeople,
    Schedule,
    add_step,
    draft_of_file,
    move_step,
    read_draft,
    remove_step,
)
from campana.core.durations import HOUR, MINUTE


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


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ({"amount": "1000"}, (1000, None)),
        ({"amount": " 1,000 "}, (1000, None)),
        ({"amount": "1.000"}, (1000, None)),
        ({"amount": "1 000 000"}, (1_000_000, None)),
        ({"amount": "2,5", "by": "share"}, (None, 2.5)),
        ({"amount": "1 %", "by": "share"}, (None, 1)),
    ],
)
def test_the_first_people_are_read_as_people_write_numbers(typed, kept):
    canary = FirstPeople(**typed, failed="0,5").kept()
    assert (canary.people, canary.share) == kept
    assert canary.limits.failed == 0.5
    assert canary.wait == 30 * MINUTE


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({"amount": ""}, ["amount"]),
        ({"amount": "0"}, ["amount"]),
        ({"amount": "2.5"}, ["amount"]),
        ({"amount": "²"}, ["amount"]),
        ({"amount": "0", "by": "share"}, ["amount"]),
        ({"amount": "101", "by": "share"}, ["amount"]),
        ({"amount": "1000", "wait": "0"}, ["wait"]),
        ({"wait": "8000", "unit": "hours"}, ["wait"]),
        ({"failed": "101", "unknown": "-1"}, ["failed", "unknown"]),
        ({"opted_out": "nan"}, ["opted_out"]),
    ],
)
def test_what_is_wrong_with_the_first_people_is_told_by_field(typed, wrong):
    first = FirstPeople(**typed)
    assert first.wrongs() == wrong
    with pytest.raises(ValueError, match="first"):
        first.kept()


def test_a_file_that_goes_to_some_people_first_is_a_draft_that_does():
    for canary in (Canary(people=10, wait=2 * HOUR), Canary(share=0.5, wait=90 * MINUTE, limits=Limits(failed=12.5))):
        file = CampaignFile.model_validate({"name": "X", "primary": {"from": "sms", "text": "Hi"}, "canary": canary})
        assert draft_of_file(file, {}).canary == canary
    assert Draft(first=FirstPeople(on=False, amount="nothing")).canary is None
