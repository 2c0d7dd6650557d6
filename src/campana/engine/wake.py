"""What time brings: runs start, receipts are overdue, runs end, everybody of an ended run gets an outcome."""

from __future__ import annotations

from msgspec.structs import replace
from sqlalchemy import Connection

from campana.core import reason
from campana.core.ids import Id
from campana.core.journey import Event, Happening
from campana.core.message import Status
from campana.engine import careful, relay
from campana.engine.changes import Changes, end_all
from campana.engine.house import CALL_TIMEOUT, LEASE, MARGIN, House, RunPlan
from campana.engine.reconcile import ENOUGH_ASKED
from campana.store import accounts, campaigns, counters, flows, inbox, messages, recipients, workspaces
from campana.store.campaigns import RunRow
from campana.store.dialect import alone
from campana.store.messages import MessageRow
from campana.store.recipients import Person

BATCH = 500
OVERDUE = 200  # each may start a fallback or be asked about: more than another wheel should wait for
ENROL = 1000
LIVE = ("sending", "paused")


def start_runs(c: Connection, house: House, now: int) -> int:
    """Scheduled runs whose time has come are sending. Exactly once: the row's state decides."""
    if not alone(c, "start runs"):
        return 0
    started = 0
    for run in campaigns.runs_with_status(c, ["scheduled"], starting_by=now):
        if workspaces.stopped(c, run.workspace_id):
            continue  # it begins when the emergency stop is lifted
        if campaigns.change_run(c, run.id, ["scheduled"], status="sending", started_at=now):
            relay.note(c, run.id, "started", now)
            started += 1
    return started


def enrol(c: Connection, house: House, now: int) -> int:
    """Enrols the next batch of every run that has begun, or was ended. Returns how much there was to do: the end of an audience
    counts too. One that was paused before its start may be a draft again, so nobody is enrolled for it yet."""
    if not alone(c, "enrol"):
        return 0
    enrolled = 0
    for run in [*campaigns.runs_with_status(c, LIVE), *campaigns.unswept_runs(c)]:
        waits = run.status == "paused" and run.started_at is None
        if run.enrolled or run.audience_id is None or waits:
            continue
        batch = _batch(c, run)
        if not batch:
            continue
        last, n = recipients.enrol(c, run, batch, now)
        complete = last == run.enrolled_through
        campaigns.note_enrolled(c, run.id, last, complete)
        tally = counters.Tally()
        tally.add(run.id, "outcome:waiting", n)
        tally.write(c)
        enrolled += n + complete
        if enrolled >= ENROL:
            break
    return enrolled


def _batch(c: Connection, run: RunRow) -> int:
    """How many people of a run are enrolled next: while the first ones are watched, no others."""
    if run.watch is None or run.status == "ended":
        return ENROL
    enrolled = careful.enrolled(counters.figures_named(c, [run.id], counters.OUTCOMES)[run.id])
    room = careful.read_watch(run.watch).room(enrolled)
    return ENROL if room is None or enrolled >= run.offered else min(ENROL, room)


def deadlines(c: Connection, house: House, now: int) -> int:
    """People whose receipt is overdue. Where the vendor can be asked it is asked once more before the step is given up."""
    if not alone(c, "deadlines"):
        return 0
    people = recipients.due_clocks(c, flows.clock_flows(c), now, OVERDUE)
    if not people:
        return 0
    rows = messages.load(c, [person.message_id for person in people if person.message_id])
    integrations = accounts.integrations_of(c, {row.sender_id for row in rows.values()})
    changes = Changes(now)
    asked: list[tuple[Id, int | None, int]] = []
    for person in people:
        row = rows.get(person.message_id) if person.message_id else None
        if row is not None and integrations[row.sender_id] in house.accounts and _worth_asking(house, row):
            if row.ask_at is None:
                asked.append((row.id, now, row.asks))
            _put_off(changes, person, now + house.recheck)
        elif row is not None and _being_asked(house, row, house.plan_of_run(c, person.run_id), now):
            _put_off(changes, person, now + house.recheck)
        else:
            _expire(changes, person, house.plan_of_run(c, person.run_id), house)
    messages.ask_all(c, asked)
    changes.write(c)
    return len(people)


def _worth_asking(house: House, row: MessageRow) -> bool:
    """The vendor took it and can be asked, and has not told us yet. One that cannot be reached is not waited for for ever."""
    look_up = house.channels[row.channel].look_up
    taken = Status.QUEUED <= row.status < Status.ERROR
    return (
        taken and row.asks < ENOUGH_ASKED and look_up is not None and look_up.status_request is not None and bool(row.vendor_id)
    )


def _being_asked(house: House, row: MessageRow, plan: RunPlan, now: int) -> bool:
    """Its answer was lost, and the vendor will still say whether it took it: until then the step is not given up.

    A vendor that cannot be reached for as long again as the step has is not waited for.
    """
    deadline = plan.shape.deadlines[row.step] or 0
    asked = row.status is Status.UNCERTAIN and house.channels[row.channel].look_up is not None
    return asked and now < row.started_at + 2 * deadline + 2 * (LEASE + CALL_TIMEOUT + MARGIN)


def _put_off(changes: Changes, person: Person, until: int) -> None:
    person.journey = replace(person.journey, due_at=until)
    changes.touch(person)


def _expire(changes: Changes, person: Person, plan: RunPlan, house: House) -> None:
    """Without a receipt in time: not delivered, but for channels that have no receipts."""
    channel = house.channels[plan.step(person.journey.step).channel]
    if not channel.receipts and not person.journey.unknown:
        changes.advance(person, Event(Happening.DELIVERED, changes.now), plan.shape)
        return
    changes.advance(person, Event(Happening.DEADLINE, changes.now, reason=reason.NO_RECEIPT), plan.shape)


def finish_runs(c: Connection, now: int) -> list[Id]:
    """Runs whose people have all completed their journey are sent, paused ones too: there is nothing to go on with."""
    ended = []
    candidates = [run for run in campaigns.runs_with_status(c, LIVE) if run.enrolled]
    figures = counters.figures_named(c, [run.id for run in candidates], ("outcome:waiting", "outcome:sending"))
    for run in candidates:
        counts = figures[run.id]
        idle = counts["outcome:waiting"] + counts["outcome:sending"] == 0
        if idle and recipients.all_done(c, run.id) and campaigns.change_run(c, run.id, LIVE, status="sent", finished_at=now):
            relay.note(c, run.id, "sent", now)
            ended.append(run.id)
    return ended


def sweep(c: Connection, house: House, now: int) -> int:
    """Gives the people of an ended run their outcome, a batch at a time, and closes its conversations."""
    if not alone(c, "sweep"):
        return 0
    swept = 0
    for run in campaigns.unswept_runs(c):
        if run.audience_id is not None and not run.enrolled:
            continue  # those not enrolled yet are enrolled first: everybody has an outcome
        people = recipients.open_people(c, run.id, BATCH)
        changes = Changes(now)
        end_all(changes, people, {run.id: house.plan_of_run(c, run.id).shape}, reason.CAMPAIGN_ENDED)
        changes.write(c)
        swept += len(people)
        if not people:
            inbox.close_conversations(c, run.id, now)
            campaigns.change_run(c, run.id, ["ended"], swept=True)
        if swept >= BATCH:
            break
    return swept
