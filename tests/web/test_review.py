"""The review page: checks, what will be sent, the start, and a launch that happens once."""

from __future__ import annotations

import asyncio
import re

import pytest
from sqlalchemy import event, func, select

from campana.core.draft import Draft, DraftStep, OwnHours, Schedule
from campana.core.durations import MINUTE
from campana.core.preflight import Where, blocker
from campana.engine import careful, launch, workbench
from campana.engine.readings import Place
from campana.store import audiences, audit, campaigns, drafts, integrations, jobs
from campana.store.integrations import Heard
from campana.store.schema import recipient
from campana.store.workbench import CHANGE, IMPORT
from campana.web.console.review import begin
from campana.web.console.review_view import watched_for
from tests.engine.conftest import world, worlds  # noqa: F401 - fixtures
from tests.engine.world import _store_audience
from tests.web.forms import filled
from tests.web.studio import Studio, press
from tests.web.test_journey import words


def says(studio, *texts: str, sender: str = "sms") -> Draft:
    """A draft whose steps are these texts: a primary and fallbacks."""
    kinds = ("primary", "fallback", "fallback")
    return Draft(
        steps=tuple(
            DraftStep(key=f"s{at + 1}", kind=kinds[at], sender=studio.senders[sender], text=text) for at, text in enumerate(texts)
        )
    )


@pytest.fixture
async def studio(world):  # noqa: F811
    studio = Studio(world)
    await studio.begin(name="First")
    return studio


@pytest.fixture
async def http(studio):
    async with studio.as_user() as http:
        yield http


async def ready(studio, *texts: str, people=None, name="Visits") -> None:
    """A draft that can be launched."""
    more = {"people": people} if people else {}
    await studio.begin(says(studio, *(texts or ("Hi {{name}}",))), name=name, **more)


async def counted(http, studio) -> str:
    """The page once everybody's text is counted."""
    for _ in range(600):
        page = (await http.get(f"{studio.home}/review")).text
        if "data-counting" not in page:
            return page
        await asyncio.sleep(0.05)  # as the page itself asks again
    raise AssertionError("the counting did not end")


async def run_of(studio):
    return await studio.world.house.db.read(campaigns.latest_run, studio.campaign_id)


async def launched(http, studio, html: str = "") -> str:
    """Presses Launch, and then confirms."""
    path = f"{studio.home}/review"
    asked = await press(http, path, "review", html, do="launch")
    assert "launch-dialog" in asked.text, words(asked.text)
    return (await press(http, f"{studio.home}/launch", f"{studio.home}/launch", asked.text)).headers["location"]


async def test_an_empty_draft_tells_what_is_missing_with_a_link_to_each_field(http, studio):
    page = await press(http, f"{studio.home}/review", "review", do="launch")
    assert page.status_code == 422
    assert "launch-dialog" not in page.text
    assert f'href="{studio.home}/journey#s1-sender"' in page.text
    assert "Choose what the message is sent with." in words(page.text)


async def test_everybody_is_counted_by_their_own_text(http, studio):
    await ready(studio, "Hi {{name}}, " + "x" * 160, "Second for {{plan}}")
    page = words(await counted(http, studio))
    assert "Messages at the launch 2" in page  # Carla has no phone
    assert "Segments at the launch 4" in page
    assert "People who get nothing 1" in page
    assert "“plan” is empty for 1 person." in page
    assert "Sending is done within a minute" in page


async def test_another_text_is_another_counting(http, studio):
    await ready(studio, "Hi")
    assert "Segments at the launch 2" in words(await counted(http, studio))
    await press(http, f"{studio.home}/journey", "journey", s1__text="Hi " + "x" * 160, do="save")
    assert "Segments at the launch 4" in words(await counted(http, studio))


async def test_a_counting_of_an_earlier_text_is_over_once_another_begins(studio):
    now, facts = studio.world.clock.now(), (studio.workspace_id, studio.campaign_id)
    first = await studio.write(begin, *facts, "first", now)
    assert await studio.write(begin, *facts, "first", now) is None
    assert await studio.write(begin, *facts, "second", now) is not None
    assert not await studio.write(jobs.beat, first, 1, 2, now)


async def test_a_launch_is_confirmed_and_happens_once(http, studio):
    await ready(studio)
    await counted(http, studio)
    asked = await press(http, f"{studio.home}/review", "review", do="launch")
    told = words(asked.text[asked.text.index("launch-dialog") :])
    assert "Launch “Visits” to 3 people?" in told
    assert "Sender Twilio SMS: sms (+1" in told
    assert "Start at once" in told
    assert await run_of(studio) is None
    path = f"{studio.home}/launch"
    answers = await asyncio.gather(*(press(http, path, path, asked.text) for _ in range(3)))
    assert {answer.headers["location"] for answer in answers} == {studio.home}
    runs = await studio.world.house.db.read(lambda c: len(campaigns.runs_with_status(c, ["scheduled", "sending", "sent"])))
    assert runs == 1
    await studio.world.play(minutes=1)
    assert studio.world.sent_to("+12125550101") == [("twilio", "Hi Ana")]
    assert studio.world.sent_to("+12125550102") == [("twilio", "Hi Bruno")]
    log = await studio.world.house.db.read(audit.entries, studio.workspace_id)
    assert (log[0].what, log[0].who) == ("campaign.launched", "ana@example.com")
    assert (await http.get(f"{studio.home}/journey")).headers["location"] == studio.home


async def test_the_texts_of_another_template_are_left_behind(http, studio):
    step = DraftStep(key="s1", kind="primary", sender=studio.senders["wa"], template="visit_reminder", language="en_US")
    values = {"first_name": "{{name}}", "appointment_date": "Monday", "old": "{{gone}}"}
    draft = Draft(steps=(step.model_copy(update={"values": values, "text": "not taken"}),))
    await studio.begin(draft, name="Template")
    await launched(http, studio)
    await studio.world.play(minutes=1)
    assert studio.world.sent_to("+12125550101") == [
        ("whatsapp", "Hi Ana, we expect you on Monday. Reply YES to confirm, or STOP.")
    ]


async def test_steps_that_are_off_are_not_sent(http, studio):
    draft = says(studio, "One", "Two")
    off = draft.steps[1].model_copy(update={"on": False, "sender": ""})
    await studio.begin(Draft(steps=(draft.steps[0], off)), name="One step")
    await launched(http, studio)
    assert [step.kind for step in (await studio.world.progress((await run_of(studio)).id)).steps] == ["primary"]


async def test_a_change_between_review_and_launch_stops_it(studio):
    await ready(studio)
    async with studio.as_user("ana") as ana, studio.as_user("berta") as berta:
        asked = await press(ana, f"{studio.home}/review", "review", do="launch")
        await press(berta, f"{studio.home}/journey", "journey", s1__text="Changed", do="save")
        path = f"{studio.home}/launch"
        answer = await press(ana, path, path, asked.text)
        assert answer.headers["location"] == f"{studio.home}/review?changed=1"
        assert "Somebody changed the campaign after you looked at it" in (await ana.get(answer.headers["location"])).text
    assert await run_of(studio) is None


@pytest.mark.parametrize(
    ("date", "time", "zone", "told"),
    [
        ("2027-03-14", "02:30", "America/New_York", "this time does not exist: it starts at 03:00"),
        ("2027-11-07", "01:30", "America/New_York", "this time comes twice: it starts at the first"),
        ("2026-11-01", "09:00", "America/New_York", "This time is past: it is now 2026-12-01 04:00 there."),
        ("2026-12-24", "09:00", "Mars/Olympus", "There is no time zone “Mars/Olympus”."),
        (
            "2026-12-24",
            "09:00",
            "America/Mexico_City",
            "24 Dec 2026, 09:00 (America/Mexico_City), that is 24 Dec 2026, 15:00 (UTC)",
        ),
    ],
)
async def test_a_start_is_told_as_it_will_be_kept(http, studio, date, time, zone, told):
    await ready(studio)
    page = await press(http, f"{studio.home}/review", "review", when="later", date=date, time=time, zone=zone, do="save")
    assert told in words(page.text)
    kept = (await studio.draft()).draft.schedule
    assert (kept.date, kept.time, kept.zone) == (date, time, zone)


async def test_a_scheduled_campaign_waits_and_can_be_taken_back(http, studio):
    await ready(studio)
    path = f"{studio.home}/review"
    page = await press(http, path, "review", when="later", date="2026-12-24", time="09:00", zone="America/Mexico_City", do="save")
    await launched(http, studio, page.text)
    await studio.world.play(hours=1)
    assert (await run_of(studio)).status == "scheduled"
    assert studio.world.accepted() == []
    back = await press(http, f"{studio.home}/unschedule", "unschedule-form", (await http.get(studio.home)).text)
    assert back.headers["location"] == path
    assert await run_of(studio) is None
    await press(http, path, "review", when="now", do="save")
    await launched(http, studio)
    await studio.world.play(minutes=1)
    assert len(studio.world.accepted()) == 2


async def test_a_campaign_paused_before_its_start_leaves_nobody_behind_when_it_is_a_draft_again(http, studio):
    await ready(studio)
    later = {"when": "later", "date": "2026-12-24", "time": "09:00", "zone": "UTC"}
    page = await press(http, f"{studio.home}/review", "review", **later, do="save")
    await launched(http, studio, page.text)
    run_id = (await run_of(studio)).id
    assert await studio.world.act(launch.pause, run_id)
    await studio.world.play(minutes=1)
    assert await studio.world.act(launch.resume, run_id)
    await press(http, f"{studio.home}/unschedule", "unschedule-form", (await http.get(studio.home)).text)
    assert await run_of(studio) is None
    left = select(func.count()).select_from(recipient)
    assert await studio.world.house.db.read(lambda c: c.scalar(left)) == 0


async def test_what_has_begun_cannot_be_taken_back(http, studio):
    await ready(studio)
    await launched(http, studio)
    await studio.world.play(minutes=1)
    page = (await http.get(studio.home)).text
    assert 'id="unschedule"' not in page
    token = re.search(r'name="_csrf_token" value="([^"]+)"', page)[1]
    answer = await http.post(f"{studio.home}/unschedule", data={"_csrf_token": token})
    assert answer.status_code == 409
    assert (await run_of(studio)).status == "sent"


async def test_hours_of_its_own_hold_the_messages(http, studio):
    await ready(studio)
    page = await press(
        http, f"{studio.home}/review", "review", hours="own", **{"from": "14:00"}, to="16:00", hours_zone="UTC", do="save"
    )
    assert "14:00 to 16:00 (UTC)" in words(page.text)
    await launched(http, studio, page.text)
    await studio.world.play(hours=1)
    assert studio.world.accepted() == []
    await studio.world.play(hours=5)
    assert len(studio.world.accepted()) == 2


async def test_flagged_rows_stop_a_launch(http, studio):
    await ready(studio, people=({"name": "Ana", "phone": "+12125550101"}, {"name": "Bad", "phone": "12"}))
    page = await press(http, f"{studio.home}/review", "review", do="launch")
    assert page.status_code == 422
    assert "1 row of the audience has a problem. Fix or remove it." in words(page.text)


async def test_nobody_who_can_be_reached_is_a_blocker(http, studio):
    await ready(studio, people=({"name": "Ana", "phone": "", "email": "ana@example.com"},))
    assert "Nobody of the audience can take any of the messages." in words(await counted(http, studio))


async def test_two_editors_of_the_schedule_see_each_other(studio):
    await ready(studio)
    path = f"{studio.home}/review"
    async with studio.as_user("ana") as ana, studio.as_user("berta") as berta:
        ours = (await ana.get(path)).text
        await press(berta, path, "review", when="later", date="2026-12-24", time="09:00", do="save")
        answer = await press(ana, path, "review", ours, hours="any", do="save")
        assert "berta@example.com changed this campaign at" in words(answer.text)
        keep = re.search(r'name="do" value="(mine:\d+)"', answer.text)[1]
        await press(ana, path, "review", answer.text, do=keep)
    kept = (await studio.draft()).draft
    assert (kept.when, kept.schedule.when) == ("any", "now")


async def test_a_draft_that_was_deleted_is_not_launched(http, studio):
    await ready(studio)
    asked = await press(http, f"{studio.home}/review", "review", do="launch")
    await studio.write(drafts.remove, studio.workspace_id, studio.campaign_id, drafts.Author(None, "x"), 1)
    path = f"{studio.home}/launch"
    assert (await press(http, path, path, asked.text)).status_code == 404


# --- people who change between review and launch ----------------------------------------------------------------------------


async def asked_and_then(http, studio, change) -> str:
    """Where a launch leads whose people were changed after it was asked for."""
    await ready(studio)
    asked = await press(http, f"{studio.home}/review", "review", do="launch")
    await change()
    path = f"{studio.home}/launch"
    return (await press(http, path, path, asked.text)).headers["location"]


async def test_other_people_than_those_reviewed_are_not_written_to(http, studio):
    versions = []

    async def swapped():
        versions.append((await studio.draft()).version)
        people = [{"name": "Other", "phone": "+12125550109"}]
        other = await studio.write(_store_audience, studio.workspace_id, people, studio.world.clock.now())
        await studio.write(audiences.give, studio.campaign_id, other)  # as a file does that is read to its end

    assert await asked_and_then(http, studio, swapped) == f"{studio.home}/review?changed=1"
    assert await run_of(studio) is None
    assert (await studio.draft()).version == versions[0]  # the refusal is no change of anybody's
    assert await launched(http, studio) == studio.home  # once they were looked at
    await studio.world.play(minutes=1)
    assert [line.to for line in studio.world.accepted()] == ["+12125550109"]


async def test_a_row_changed_after_the_review_stops_the_launch(http, studio):
    async def fixed():
        place, audience_id = Place(studio.workspace_id, studio.campaign_id), (await studio.draft()).audience_id
        await workbench.change(studio.world.house, place, audience_id, 2, "save", {1: "+12125550109"}, lambda c: None)

    assert await asked_and_then(http, studio, fixed) == f"{studio.home}/review?changed=1"
    assert await run_of(studio) is None


@pytest.mark.parametrize("kind", [IMPORT, CHANGE])
async def test_nothing_is_launched_while_its_people_are_being_changed(http, studio, kind):
    await ready(studio)
    row, now = await studio.draft(), studio.world.clock.now()
    people = (await studio.world.house.db.read(audiences.load, studio.workspace_id, row.audience_id)).mark
    of = studio.campaign_id if kind == IMPORT else row.audience_id
    job_id = await studio.write(jobs.start, studio.workspace_id, kind, of, now)
    page = await press(http, f"{studio.home}/review", "review", do="launch")
    assert page.status_code == 422
    assert "The people are being changed just now." in words(page.text)
    row = await studio.draft()
    facts = (studio.world.house, studio.workspace_id, row, people, now, drafts.Author(None, "x"), now)
    with pytest.raises(launch.Refused, match="being changed just now"):  # begun after the page was drawn
        await studio.write(launch.launch_draft, *facts)
    assert await run_of(studio) is None
    await studio.write(jobs.finish, job_id, None, None, now)
    assert await launched(http, studio) == studio.home


async def test_a_launch_looks_at_the_figures_and_not_at_every_row(http, studio):
    await ready(studio)
    asked = await press(http, f"{studio.home}/review", "review", do="launch")
    said: list[str] = []

    def listen(c, cursor, statement, *more):
        said.append(statement)

    engine, path = studio.world.house.db.engine, f"{studio.home}/launch"
    event.listen(engine, "before_cursor_execute", listen)
    try:
        await press(http, path, path, asked.text)
    finally:
        event.remove(engine, "before_cursor_execute", listen)
    at = next(at for at, statement in enumerate(said) if statement.startswith("INSERT INTO run "))
    assert not [statement for statement in said[:at] if "FROM audience_row" in statement]


# --- what is told leads to its field ----------------------------------------------------------------------------------------


async def dead_ways(http, html: str, here: str) -> list[str]:
    """The links among the checks of a page that lead to nothing."""
    checks = html[html.index('id="checks"') : html.index('id="estimate-h"')]
    ways, dead = re.findall(r'href="([^"#]*)#([^"]*)"', checks), []
    assert ways
    for path, anchor in ways:
        page = await http.get(path or here)
        if page.status_code != 200 or f'id="{anchor}"' not in page.text:
            dead.append(f"{path}#{anchor}")
    return dead


def by_template(studio, key: str, kind: str, **values: str) -> DraftStep:
    facts = {"template": "visit_reminder", "language": "en_US", "values": values}
    return DraftStep(key=key, kind=kind, sender=studio.senders["wa"], **facts)


async def test_every_check_leads_to_its_field_and_names_its_step(http, studio):
    long, path = "Hi {{plan}} " + "x" * 500, f"{studio.home}/review"
    steps = (
        by_template(studio, "s1", "primary", first_name="{{plan}}", appointment_date="{{gone}}"),
        DraftStep(key="s2", kind="fallback", sender=studio.senders["sms"], text=long),
        DraftStep(key="s3", kind="fallback"),
        by_template(studio, "s4", "follow_up", first_name="{{name}}"),
        by_template(studio, "s5", "follow_up"),
    )
    later = Schedule(when="later", date="2020-01-01", time="09:00", zone="UTC")
    hours = OwnHours(zone="Mars/Olympus")
    await studio.begin(Draft(steps=steps, schedule=later, when="own", hours=hours), name="Much to tell")
    path = f"{studio.home}/review"
    page = await counted(http, studio)
    assert await dead_ways(http, page, path) == []
    told = words(page)
    assert "Primary message: The audience has no column “gone”." in told
    assert "Fallback 2: Choose what the message is sent with." in told
    assert "Fallback 1: The longest text takes" in told
    assert "Follow-up 1 , Follow-up 2 : Choose what fills" in told
    assert f'href="{studio.home}/journey#s5-value-appointment_date"' in page
    asked = await press(http, path, "review", do="launch")
    assert "Primary message: The audience has no column “gone”." in words(asked.text[asked.text.index('class="summary"') :])


async def test_a_column_that_is_empty_is_told_once_with_the_way_to_each_step(http, studio):
    template = by_template(studio, "s1", "primary", first_name="{{plan}}", appointment_date="Monday")
    text = DraftStep(key="s2", kind="fallback", sender=studio.senders["sms"], text="Hi {{plan}}")
    await studio.begin(Draft(steps=(template, text)), name="Empty in two")
    page = await counted(http, studio)
    assert "Primary message , Fallback : “plan” is empty for 1 person." in words(page)
    assert f'href="{studio.home}/journey#s1-value-first_name"' in page
    assert await dead_ways(http, page, f"{studio.home}/review") == []


async def test_a_fallback_that_waits_for_webhooks_of_which_none_came_is_told_with_the_way_to_the_integration(http, studio):
    template = by_template(studio, "s1", "primary", first_name="{{name}}", appointment_date="Monday")
    text = DraftStep(key="s2", kind="fallback", sender=studio.senders["sms"], text="Hi {{name}}")
    told = "Primary message: Nothing was heard of WhatsApp yet, so fallbacks would go out to everybody"
    await studio.begin(Draft(steps=(template, text)), name="Deaf")
    page = await counted(http, studio)
    [wa] = [one for one in studio.world.house.accounts.values() if one.channel.kind == "whatsapp"]
    assert (told in words(page), f'href="/integrations/{wa.id.hex()}#hook-h"' in page) == (True, True)
    assert await dead_ways(http, page, f"{studio.home}/review") == []
    await studio.write(integrations.heard, [Heard(wa.hook, True)], studio.world.clock.now())
    assert told not in words(await counted(http, studio))


async def test_a_message_without_fallback_waits_for_no_webhook(http, studio):
    template = by_template(studio, "s1", "primary", first_name="{{name}}", appointment_date="Monday")
    await studio.begin(Draft(steps=(template,)), name="Alone")
    assert "Nothing was heard" not in words(await counted(http, studio))


@pytest.mark.parametrize("people", [(), ({"name": "Ana", "phone": "12"},), ({"name": "Ana", "email": "ana@example.com"},)])
async def test_checks_of_people_lead_to_the_people(http, studio, people):
    await studio.begin(says(studio, "Hi"), people=people, name=f"People {len(people)}")
    page = await counted(http, studio)
    assert await dead_ways(http, page, f"{studio.home}/review") == []


# --- hours and zones as they were typed -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "field", "told"),
    [
        ({"from": "08:00", "to": "08:00"}, "until", "The hours end when they begin."),
        ({"from": "", "to": "21:00"}, "from", "Write a time of the day"),
        ({"hours_zone": "Sao Paulo"}, "hours-zone", "There is no time zone “Sao Paulo”. Is it America/Sao_Paulo"),
        ({"hours_zone": ""}, "hours-zone", "Choose a time zone"),
    ],
)
async def test_wrong_hours_stay_as_typed_and_stop_the_launch(http, studio, typed, field, told):
    await ready(studio)
    path = f"{studio.home}/review"
    page = (await press(http, path, "review", hours="own", do="launch", **typed)).text
    assert "launch-dialog" not in page
    assert f'<a href="#{field}">{told}'.split(".")[0] in page  # in the summary, first of all
    note = page[page.index(f'id="{field}-note"') :]
    assert told in words(note[: note.index("</div>")])
    assert "It keeps these hours: still to be mended ." in words(page)
    assert re.search(rf'id="{field}"[^>]* aria-invalid="true"', page)
    again = filled((await http.get(path)).text, "review")
    assert {name: again[name] for name in typed} == typed
    assert await run_of(studio) is None
    fine = await press(http, path, "review", hours="any", do="launch")  # what is not kept stops nobody
    assert "launch-dialog" in fine.text
    assert filled(fine.text, "review")["from"] == typed.get("from", "08:00")


async def test_a_part_of_the_page_tells_wrong_hours_at_their_fields(http, studio):
    await ready(studio)
    path = f"{studio.home}/review"
    typed = filled((await http.get(path)).text, "review", hours="own", to="08:00")
    answer = await http.post(path, data=typed, headers={"HX-Request": "true"})
    part = answer.text[answer.text.index('hx-target="#until-note"') :]
    assert "The hours end when they begin." in part[: part.index("</hx-partial>")]


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("America/Sao_Paulo", "Thu 24 Dec 2026, 09:00, Sao Paulo time"),
        ("-05:00", "Thu 24 Dec 2026, 09:00 -05:00"),
    ],
)
async def test_a_planned_start_is_shown_by_the_clocks_of_its_zone(http, studio, zone, told):
    await ready(studio)
    later = {"when": "later", "date": "2026-12-24", "time": "09:00", "zone": zone}
    page = await press(http, f"{studio.home}/review", "review", **later, do="save")
    await launched(http, studio, page.text)
    assert f"Starts {told}" in words((await http.get(studio.home)).text)
    assert f"{told} Planned start" in words((await http.get("/campaigns")).text)


async def test_a_refused_launch_shows_the_page_with_the_reason_in_the_readers_language(http, studio, monkeypatch):
    await ready(studio)
    asked = await press(http, f"{studio.home}/review", "review", do="launch")
    refusal = launch.Refused("no", blocker("sender_off", Where.JOURNEY, "s1-sender", name="sms"))

    def refuse(*_):
        raise refusal

    monkeypatch.setattr(launch, "launch_draft", refuse)
    http.cookies.set("lang", "es")
    path = f"{studio.home}/launch"
    answer = await press(http, path, path, asked.text)
    assert answer.status_code == 409
    summary = words(answer.text[answer.text.index('class="summary"') :])
    assert "El remitente sms está" in summary
    assert f'href="{studio.home}/journey#s1-sender"' in answer.text


FIRST = {"first__on": "yes", "first_amount": "2", "first_wait": "45"}


async def test_it_can_go_to_some_people_first_and_the_launch_says_so(http, studio):
    await ready(studio)
    assert "It goes: to everybody at once" in words(await counted(http, studio))
    asked = await press(http, f"{studio.home}/review", "review", do="launch", **FIRST)
    told = words(asked.text[asked.text.index("launch-dialog") :])
    assert "Sending carefully first to 2 people; after 45 minutes to everybody, unless too much goes wrong" in told
    path = f"{studio.home}/launch"
    await press(http, path, path, asked.text)
    run = await run_of(studio)
    watch = careful.read_watch(run.watch)
    assert (watch.first, watch.failed, watch.opted_out, watch.unknown) == (2, 5, 1, 2)
    assert watch.wait == studio.world.house.durations.of(45 * 60_000_000)


async def test_what_is_wrong_with_the_first_people_is_kept_and_told_at_its_field(http, studio):
    await ready(studio)
    typed = {"first__on": "yes", "first_amount": "many", "first_wait": "0", "first_failed": "500"}
    asked = await press(http, f"{studio.home}/review", "review", do="launch", **typed)
    assert asked.status_code == 422
    assert 'value="many"' in asked.text
    told = words(asked.text)
    assert "Write how many people it goes to first, as a whole number." in told
    assert "Write a length between a minute and 7 days." in told
    assert "Write a percentage from 0 to 100." in told
    assert "It goes: still to be mended" in told
    assert 'href="#first-amount"' in asked.text
    again = words((await http.get(f"{studio.home}/review")).text)
    assert "still to be mended" in again
    kept = (await studio.draft()).draft.first
    assert (kept.amount, kept.wait, kept.failed) == ("many", "0", "500")


async def test_first_people_who_are_everybody_are_told_and_do_not_keep_it_from_going(http, studio):
    await ready(studio)
    asked = await press(http, f"{studio.home}/review", "review", do="launch", **{**FIRST, "first_amount": "3"})
    assert asked.status_code == 200
    told = words(asked.text)
    assert "The audience has 3 people, and all are among the first: nobody is left to wait." in told
    assert told.count("to everybody at once, as the audience has no more people than go first") == 2  # and in the question
    assert "first to 3 people" not in told
    draft = (await studio.draft()).draft
    assert [watched_for(draft, people) for people in (3, 4)] == [0, 45 * MINUTE]
