"""Drafts in the store: names are unique for the database too, tags follow, the second of two editors sees the first."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from campana.core.draft import Draft, DraftStep, Schedule, add_step
from campana.core.ids import new_id
from campana.store import accounts, audit, campaigns, drafts
from campana.store.drafts import Author, Outdated, Saved
from campana.store.schema import user
from tests.store.conftest import NOW, a_run, a_sender

ANA = Author(None, "ana@example.com", "127.0.0.1")
SAYS_HI = Draft(steps=(DraftStep(key="s1", kind="primary", text="Hi {{name}}"),))


@pytest.fixture
def c(begin):
    with begin() as connection:
        yield connection


@pytest.fixture
def here(c):
    return accounts.ensure_workspace(c, "default", NOW)


def made(c, here, name="Spring survey"):
    return drafts.create(c, here, name, Draft(), ANA, NOW)


def test_a_new_draft_is_found_as_it_was_made(c, here):
    found = drafts.load(c, here, made(c, here))
    assert (found.name, found.tags, found.version, found.draft) == ("Spring survey", ("spring-survey",), 1, Draft())
    assert [(entry.what, entry.about, entry.who) for entry in audit.entries(c, here)] == [
        ("campaign.made", "Spring survey", "ana@example.com")
    ]


def test_names_of_new_drafts_get_a_number(c, here):
    names = [drafts.load(c, here, made(c, here, "Untitled")).name for _ in range(3)]
    assert names == ["Untitled", "Untitled 2", "Untitled 3"]


def test_a_draft_of_another_workspace_is_not_there(c, here):
    elsewhere = accounts.ensure_workspace(c, "elsewhere", NOW)
    one = made(c, here)
    assert drafts.load(c, elsewhere, one) is None
    assert drafts.save(c, elsewhere, one, 1, SAYS_HI, ANA, NOW) is None
    assert not drafts.add_tag(c, elsewhere, one, "x")
    assert drafts.remove(c, elsewhere, one, ANA, NOW) is None
    assert drafts.load(c, here, one).draft == Draft()


def test_what_was_saved_is_there_and_the_version_counts_up(c, here):
    one = made(c, here)
    assert drafts.save(c, here, one, 1, SAYS_HI, ANA, NOW) == Saved(2)
    assert drafts.load(c, here, one).draft == SAYS_HI


def test_the_second_of_two_editors_sees_the_version_of_the_first_and_changes_nothing(c, here):
    berta = Author(new_id(NOW), "berta@example.com")
    c.execute(insert(user).values(id=berta.user_id, email=berta.who, email_key=berta.who, created_at=NOW))
    one = made(c, here)
    drafts.save(c, here, one, 1, SAYS_HI, berta, NOW + 5)
    answer = drafts.save(c, here, one, 1, add_step(Draft(), "fallback"), ANA, NOW + 6)
    assert isinstance(answer, Outdated)
    assert (answer.theirs.changed_by, answer.theirs.changed_at, answer.theirs.version) == ("berta@example.com", NOW + 5, 2)
    assert answer.theirs.draft == SAYS_HI
    assert drafts.load(c, here, one).draft == SAYS_HI


def test_what_was_launched_is_no_draft_any_more(c, here):
    run = a_run(c, [("+525511223344", None)])
    assert drafts.load(c, here, run.campaign_id) is None
    assert drafts.save(c, here, run.campaign_id, 1, SAYS_HI, ANA, NOW) is None
    assert drafts.remove(c, here, run.campaign_id, ANA, NOW) is None
    assert campaigns.latest_run(c, run.campaign_id) is not None


def test_a_name_that_is_taken_is_refused_in_words_whatever_its_case(c, here):
    made(c, here, "Welcome")
    one = made(c, here)
    assert drafts.rename(c, here, one, 1, "  WELCOME ", ANA, NOW) == (
        "There is already a campaign named 'WELCOME'. Choose another name."
    )
    assert drafts.name_taken(c, here, "welcome", one)
    assert not drafts.name_taken(c, here, "spring  SURVEY", one)
    assert drafts.load(c, here, one).name == "Spring survey"
    assert drafts.rename(c, here, one, 1, "Spring Survey", ANA, NOW) == Saved(2)


def test_the_tag_follows_the_name_and_others_stay(c, here):
    made(c, here, "Été 2026")
    one = made(c, here)
    assert drafts.add_tag(c, here, one, "vip")
    assert not drafts.add_tag(c, here, one, "vip")
    drafts.rename(c, here, one, 1, "ete: 2026", ANA, NOW)
    assert drafts.load(c, here, one).tags == ("ete-2026-2", "vip")
    drafts.rename(c, here, one, 2, "VIP", ANA, NOW)
    assert drafts.load(c, here, one).tags == ("vip",)


def test_the_tag_of_the_name_cannot_be_removed(c, here):
    one = made(c, here)
    drafts.add_tag(c, here, one, "vip")
    assert not drafts.remove_tag(c, here, one, "spring-survey")
    assert drafts.remove_tag(c, here, one, "vip")
    assert drafts.load(c, here, one).tags == ("spring-survey",)


def test_a_removed_draft_is_gone_and_its_name_free(c, here):
    one = made(c, here)
    assert drafts.remove(c, here, one, ANA, NOW).name == "Spring survey"
    assert drafts.load(c, here, one) is None
    assert drafts.load(c, here, made(c, here)).tags == ("spring-survey",)


def test_a_copy_says_the_same_to_nobody_yet_and_begins_at_no_time(c, here):
    later = SAYS_HI.model_copy(update={"schedule": Schedule(when="later", date="2026-01-01", time="10:00", zone="UTC")})
    one = drafts.create(c, here, "Welcome", later, ANA, NOW)
    found = drafts.load(c, here, drafts.copy(c, here, one, "Copy of {}".format, ANA, NOW))
    assert (found.name, found.draft, found.audience_id) == ("Copy of Welcome", SAYS_HI, None)
    assert drafts.copy(c, accounts.ensure_workspace(c, "elsewhere", NOW), one, str, ANA, NOW) is None


def test_a_campaign_made_from_a_file_can_be_copied(c, here):
    sender_id = a_sender(c, "sms")
    definition = '{"name": "Old", "primary": {"from": "sms", "text": "Hi {{name}}"}}'
    old = campaigns.create(c, here, "Old", "one_time", definition, [], NOW)
    found = drafts.load(c, here, drafts.copy(c, here, old, str, ANA, NOW))
    assert found.name == "Old 2"
    assert [(step.sender, step.text) for step in found.draft.steps] == [(sender_id.hex(), "Hi {{name}}")]
