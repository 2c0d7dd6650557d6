"""The figures of the progress page: where people went, what stands in line, and the minutes of a long run."""

from __future__ import annotations

import msgspec
from sqlalchemy import update

from campana.core.canary import Breach, Trouble, Watch
from campana.core.held import Held, Why
from campana.core.ids import Id
from campana.store import accounts, audit, campaigns, counters, flows, progress, workspaces
from campana.store.counters import Tally
from campana.store.progress import Progress
from campana.store.schema import run as run_table
from tests.store.conftest import NOW, Begin, a_run, a_sender

MINUTE = 60_000_000
PEOPLE = [(f"+52551122{at:04d}", None) for at in range(40)]
STEP = '{{"kind": "{}", "sender": "00", "channel": "{}", "text": "Hi", "deadline": null}}'
PLAN = f'{{"steps": [{STEP.format("primary", "whatsapp")}, {STEP.format("fallback", "sms")}, {STEP.format("follow_up", "sms")}]}}'


def shown(c, run, now: int = NOW) -> Progress:
    found = progress.progress(c, run.workspace_id, run.campaign_id, now)
    assert found is not None
    return found


def with_plan(c, **values: object):
    run = a_run(c, PEOPLE, senders=[a_sender(c, "wa"), a_sender(c, "sms"), a_sender(c, "sms")])
    c.execute(update(run_table).where(run_table.c.id == run.id).values(plan=PLAN, **values))
    return run


def count(c, run_id: Id, **figures: int) -> None:
    tally = Tally()
    for key, n in figures.items():
        tally.add(run_id, key.replace("__", ":"), n)
    tally.write(c)


def test_the_way_of_people_is_told_step_by_step(begin: Begin) -> None:
    with begin() as c:
        run = with_plan(c)
        count(c, run.id, line__0=-30, went__0__1=12, went__0__2=15, went__1__2=5, line__1=4, line__2=18, step__0__sent=28)
        counters.fold(c)
        count(c, run.id, went__0__1=1, line__1=1, step__0__failed=2)
        first, second, third = shown(c, run).steps
    assert (first.came, first.line, first.sent, first.failed) == (40, 10, 28, 2)
    assert first.went == {1: 13, 2: 15}
    assert (second.came, second.line, second.went) == (13, 5, {2: 5})
    assert (third.came, third.line, third.went) == (20, 18, {})


def test_what_stands_in_line_is_what_may_be_sent_now(begin: Begin) -> None:
    with begin() as c:
        run = with_plan(c)
        count(c, run.id, line__0=-30, line__1=5, line__2=18)
        queues = shown(c, run).queues
        assert [(one.sender, one.messages, one.channel) for one in queues] == [("wa", 10, "whatsapp"), ("sms", 5, "sms")]
        watch = Watch(first=32, wait=MINUTE, failed=5, opted_out=1, unknown=2)
        campaigns.set_watch(c, run.id, None, _written(watch))
        assert [one.messages for one in shown(c, run).queues] == [2, 5], "the others wait for the end of the watch"
        campaigns.change_run(c, run.id, ["sending"], status="paused", paused_at=NOW)
        assert shown(c, run).queues == ()


def _written(watch: Watch) -> str:
    return msgspec.json.encode(watch).decode()


def test_the_minutes_of_a_long_run_are_the_last_two_hours(begin: Begin) -> None:
    with begin() as c:
        run = with_plan(c)
        first = NOW // MINUTE
        count(c, run.id, people__sent=3, **{f"minute__{first + at}": at + 1 for at in range(0, 300, 3)})
        counters.fold(c)
        count(c, run.id, **{f"minute__{first + 297}": 2, f"minute__{first + 300}": 7})
        found = shown(c, run)
        assert found.line.sent == 3
        assert not any(key.startswith(("minute:", "quarter:")) for key in counters.figures_but_minutes(c, run.id))
    assert len(found.minutes) == 120
    assert dict(found.minutes) | {first + 300: 7, first + 298: 0, first + 297: 300} == dict(found.minutes)


def test_why_people_wait_is_told_in_codes(begin: Begin) -> None:
    with begin() as c:
        run = with_plan(c)
        flows.close(c, flows.flow_id(run.id, 0), NOW + MINUTE, "active hours")
        flows.close(c, flows.flow_id(run.id, 1), flows.FOR_GOOD, "the template is paused (132015)")
        accounts.pause_sender(c, a_sender(c, "sms"), "the token expired (190)", NOW)
        held = shown(c, run).held
        assert [(one.why, one.sender, one.words, one.until) for one in held] == [
            (Why.PAUSED, "sms", "the token expired (190)", None),
            (Why.HOURS, "wa", "active hours", NOW + MINUTE),
            (Why.STEP, "sms", "the template is paused (132015)", None),
        ]
        assert [one.why for one in shown(c, run, NOW + MINUTE).held] == [Why.PAUSED, Why.STEP], "the hours have begun"


def test_whoever_paused_it_is_named(begin: Begin) -> None:
    with begin() as c:
        run = with_plan(c)
        for at, who in ((NOW - 2 * MINUTE, "Ana"), (NOW - 5, "Berta")):
            audit.note(c, run.workspace_id, None, who, "campaign.paused", "Visits", at, run.campaign_id)
        campaigns.change_run(c, run.id, ["sending"], status="paused", paused_at=NOW)
        assert shown(c, run).paused == progress.Paused(NOW, "Berta")
        workspaces.stop(c, run.workspace_id, "Carla", NOW + 9)
        campaigns.change_run(c, run.id, ["paused"], note="emergency_stop")
        found = shown(c, run)
        assert found.paused == progress.Paused(NOW, by_stop=True)
        assert found.stop == workspaces.Stop(NOW + 9, "Carla")
        breach = Breach(Trouble.FAILED, 4, 10, 5)
        campaigns.set_watch(c, run.id, None, _written(Watch(10, MINUTE, 5, 1, 2, breach=breach)))
        assert shown(c, run).paused == progress.Paused(NOW, breach=breach)


def test_a_reason_says_in_english_what_it_says(begin: Begin) -> None:
    assert str(Held(Why.HOURS, "sms", "active hours", NOW)).startswith("sms: held until 2026-12-01 09:00 UTC: active hours")
    assert str(Held(Why.PAUSED, "sms", "the token expired (190)")) == "sms: the token expired (190)"
    assert str(Held(Why.GONE, "sms")) == "the sender sms is not in the settings any more"
