"""The page of the audit log: every deed and each of its details is a sentence in the reader's language and zone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from campana.core.access import Role
from campana.core.ids import new_id
from campana.store import audit
from campana.store.audit import Entry
from campana.web.app import Face
from campana.web.console import i18n
from tests.web.doorstep import EDITOR, House, worlds

SOURCES = Path(__file__).parents[2] / "src/campana"
KINDS = ("audience", "campaign", "integration", "optout", "person", "report", "sender", "template", "user", "view", "workspace")
DEED = re.compile(rf'"((?:{"|".join(KINDS)})\.[a-z_]+)"')
NOTED = re.compile(r'\b(?:noting|note)\([^"\n]*"([a-z]+)\.[a-z_]+"')
AT = 1_796_117_400_000_000  # 2026-12-01 09:30 UTC
SENDER = {"address": "+15017122661", "rate": 1.5, "daily_limit": 2000, "weight": "messages"}
REPORT = {"every": "week", "at": "08:00 America/Lima", "recipients": "ana@example.com"}
# What the code notes about each deed; a new deed, or a new detail of one, stands here and has its sentence in _deeds.html.
DETAILS: dict[str, dict[str, Any]] = {
    "campaign.made": {},
    "campaign.deleted": {},
    "campaign.launched": {"people": 1200, "starts_at": AT},
    "campaign.unscheduled": {},
    "campaign.paused": {},
    "campaign.paused_itself": {"trouble": "failed", "count": 31, "of": 500, "most": 5.0, "words": ""},
    "campaign.resumed": {},
    "campaign.sent_to_all": {},
    "campaign.finished": {},
    "campaign.archived": {},
    "campaign.restored": {},
    "campaign.exported": {"outcomes": ["unreached", "opted_out"]},
    "campaign.messages_exported": {},
    "workspace.messages_exported": {},
    "audience.uploaded": {},
    "audience.added": {"people": 1},
    "audience.read": {},
    "audience.row": {"how": "save"},
    "audience.rows": {"how": "drop"},
    "audience.copied": {"outcomes": ["unreached"], "causes": ["permanent", "no_receipt"]},
    "integration.connected": {"channel": "twilio_sms", "secrets_entered": ["auth_token"]},
    "integration.changed": {"channel": "twilio_sms", "secrets_entered": []},
    "integration.tested": {"to": "+15…61", "taken": False},
    "integration.turned_on": {},
    "integration.turned_off": {},
    "integration.removed": {"channel": "twilio_sms"},
    "sender.added": SENDER,
    "sender.changed": {**SENDER, "rate": None, "daily_limit": None},
    "sender.removed": {"address": "+15017122661"},
    "sender.resumed": {"trouble": "(21610) stopped"},
    "optout.added": {"medium": "all", "addresses": 3, "reason": "They called"},
    "optout.lifted": {"medium": "voice", "rule": "by hand", "proof": "ana: called", "since": AT},
    "person.invited": {"role": "editor"},
    "person.invitation_revoked": {},
    "person.joined": {"role": "viewer"},
    "person.removed": {},
    "person.role_changed": {"from": "viewer", "to": "admin"},
    "person.reset_link_made": {},
    "person.second_factor_removed": {},
    "user.signed_in": {},
    "user.password_changed": {},
    "user.link_made": {},
    "user.second_factor_set": {},
    "user.second_factor_removed": {},
    "user.recovery_codes_made": {},
    "user.recovery_code_used": {"left": 9},
    "report.exported": {"channel": "twilio_sms", "tag": "spring"},
    "report.scheduled": REPORT,
    "report.changed": REPORT,
    "report.paused": {},
    "report.resumed": {},
    "report.reader_removed": {"recipients": "ana@example.com"},
    "report.deleted": {},
    "report.sent": {},
    "view.kept": {},
    "view.renamed": {"before": "November"},
    "view.deleted": {},
    "workspace.made": {},
    "workspace.stopped": {"campaigns": 3},
    "workspace.stop_lifted": {"campaigns": 1},
    "workspace.changed": {
        "name": "Clinic",
        "zone": "America/Lima",
        "hours": {"from": "08:00", "to": "21:00", "zone": "America/Lima", "days": ["mon", "sun"]},
        "email_alpha": True,
    },
}


def the_sources() -> str:
    return "".join(path.read_text("utf-8") for path in SOURCES.rglob("*.py") if "schema" not in path.parts)


def deeds() -> set[str]:
    """Every word that the sources can note."""
    sources = the_sources()
    return {found for found in DEED.findall(sources) if not found.endswith((".id", ".html"))}


def told(language: str, what: str, details: dict[str, Any]) -> tuple[str, str]:
    """What the log says of a deed, and of its details."""
    env = i18n.environment(language, "America/Sao_Paulo", {"channels": {"twilio_sms": Face("Twilio SMS", "sms")}})
    said: Any = env.get_template("_deeds.html").module
    return said.deed(what), said.told(Entry(b"", AT, "ana", what, "Spring", details, "")).strip()


def test_the_table_holds_every_deed_of_the_code() -> None:
    assert deeds() - set(DETAILS) == set(), "say in DETAILS what is noted of a new deed, and in _deeds.html how it reads"


def test_no_kind_of_deed_is_overlooked() -> None:
    found = set(NOTED.findall(the_sources()))
    assert len(found) > 5
    assert found - set(KINDS) == set(), "name a new kind of deed in KINDS"


@pytest.mark.parametrize("what", DETAILS)
def test_every_deed_and_detail_is_a_sentence_in_every_language(what: str) -> None:
    said = {language: told(language, what, DETAILS[what]) for language in i18n.LANGUAGES}
    for deed, details in said.values():
        assert deed != what
        assert "data-raw" not in details
        assert not re.search(r"[{}\[\]]|[a-z]_[a-z]|\d{13}|None|True|False", details), details
        assert bool(details) == any(value != [] for value in DETAILS[what].values())
    for language in set(i18n.LANGUAGES) - {i18n.SOURCE}:
        assert said[language][0] != said[i18n.SOURCE][0]
        assert said[language][1] != said[i18n.SOURCE][1] or not said[language][1]


def test_a_moment_is_told_by_the_clock_of_the_workspace() -> None:
    assert "1 Dec 2026, 06:30" in told("en", "campaign.launched", DETAILS["campaign.launched"])[1]


async def test_pages_of_the_log_follow_each_other_while_it_grows(house: House) -> None:
    owner = house.browser(Role.OWNER)

    def note(first: int, last: int) -> Any:
        def write(c: Any) -> None:
            for number in range(first, last):
                now = house.clock.now() + number
                audit.note(c, worlds.WORKSPACE, None, EDITOR, "campaign.paused", f"no-{number:03}", now, new_id(now))

        return write

    def seen(page: str) -> list[str]:
        return re.findall(r"<small>no-(\d+)</small>", page)

    await house.run(note(0, 120))
    first = (await owner.get("/settings/audit?what=campaign.paused")).text
    assert (len(seen(first)), seen(first)[0], "Newer" in first) == (50, "119", False)
    await house.run(note(120, 125))
    second = (await owner.get(link(first, "Older"))).text
    assert (seen(second)[0], seen(second)[-1]) == ("069", "020")
    third = (await owner.get(link(second, "Older"))).text
    assert (seen(third)[0], seen(third)[-1], "Older" in third) == ("019", "000", False)
    assert seen((await owner.get(link(third, "Newer"))).text) == seen(second)
    back = (await owner.get(link(second, "Newer"))).text
    assert seen(back) == seen(first)
    newest = (await owner.get(link(back, "Newer"))).text
    assert (seen(newest)[0], len(seen(newest)), "Newer" in newest) == ("124", 50, False)
    for odd in ("before=x", "after=" + "0" * 32, "before=" + "0" * 32, "what=%00", "who=nobody", "page=7"):
        assert (await owner.get(f"/settings/audit?{odd}")).status_code == 200, odd


def link(page: str, words: str) -> str:
    """Where a link of the page leads."""
    return re.search(rf'href="([^"]+)">{words}<', page)[1].replace("&amp;", "&")  # type: ignore[index]
