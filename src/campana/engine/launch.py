"""Launching: a campaign and its audience become a run whose plan is frozen. What cannot be sent is refused here, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from pydantic import ValidationError
from sqlalchemy import Connection

from campana.channels.contract import Channel, UnfitContent
from campana.core.audience import Summary
from campana.core.campaign import CampaignFile, Canary, FollowUp, Hours, Message, Plan, Step
from campana.core.canary import watch_for
from campana.core.draft import Draft, DraftStep
from campana.core.durations import DAY, HOUR
from campana.core.hours import UnknownZone, zone_of
from campana.core.ids import Id, new_id
from campana.core.message import Reach
from campana.core.preflight import Finding, Where, blocker, of_first, of_hours
from campana.core.schedule import zone_in
from campana.core.template import compile_text, unknown_fields
from campana.engine import careful, relay
from campana.engine.house import House, vendor_template
from campana.store import accounts, audiences, audit, campaigns, choices, drafts, flows, templates, workspaces
from campana.store.accounts import SenderRow
from campana.store.campaigns import RunRow
from campana.store.drafts import Author, DraftRow
from campana.store.workbench import busy

STOPPED = "emergency_stop"  # the note of a run that is paused for it


class Refused(ValueError):
    """The campaign cannot be launched as it is; the sentence says what to change. `finding` says it to pages, in their codes."""

    def __init__(self, sentence: str, finding: Finding | None = None) -> None:
        super().__init__(sentence)
        self.finding = finding


def make_plan(file: CampaignFile, senders: Iterable[SenderRow], channels: Mapping[str, Channel]) -> Plan:
    """The steps of a campaign file, with senders found by name and every deadline decided."""
    _check_hours(file.hours)
    by_name = {sender.name: sender for sender in senders}
    steps = [_step("primary", file.primary, by_name, channels)]
    steps += [_step("fallback", one, by_name, channels) for one in file.fallbacks]
    steps += [_step("follow_up", one, by_name, channels) for one in file.follow_ups]
    return Plan(steps=tuple(steps), hours=file.hours, zone=zone_in(file.start))


def _check_hours(hours: Hours | None) -> None:
    try:
        zone_of(hours.zone if hours else "UTC")
    except UnknownZone as error:
        raise Refused(f"The hours cannot be kept. {error}", blocker("bad_hours", Where.REVIEW, "hours")) from error


def _step(kind: str, message: Message, senders: Mapping[str, SenderRow], channels: Mapping[str, Channel], key: str = "") -> Step:
    """`key` names the step of a draft."""
    sender = senders.get(message.sender)
    if sender is None:
        known = ", ".join(sorted(senders)) or "none yet"
        raise Refused(f"There is no sender named {message.sender!r}. Senders in the settings: {known}.")
    if not sender.active:
        off = blocker("sender_off", Where.JOURNEY, f"{key}-sender", name=message.sender)
        raise Refused(f"The sender {message.sender!r} is switched off. Switch it on, or choose another.", off)
    channel = channels[sender.kind]
    if channel.needs_template and message.template is None:
        raise Refused(
            f"The {kind.replace('_', '-')} message is a text of your own, which {channel.label} takes only as the answer to "
            "somebody who has just written. Give it a template instead: 'template', 'language' and 'values'.",
            blocker("text_not_taken", Where.JOURNEY, f"{key}-text", label=channel.label),
        )
    deadline = message.not_delivered_after or channel.default_deadline
    return Step(
        kind=kind,
        sender=sender.id.hex(),
        channel=sender.kind,
        text=message.text,
        template=message.template,
        language=message.language,
        values=message.values,
        deadline=deadline if channel.receipts else HOUR,
        delay=message.after if isinstance(message, FollowUp) else 0,
    )


def draft_plan(draft: Draft, senders: Iterable[SenderRow], channels: Mapping[str, Channel], hours: Hours | None) -> Plan:
    """The plan of a draft: its steps that are on, as a campaign file would say them, in the hours given."""
    known = {sender.id.hex(): sender for sender in senders}
    by_name = {sender.name: sender for sender in known.values()}
    _check_hours(hours)
    return Plan(steps=tuple(_draft_step(step, known, by_name, channels) for step in draft.sent), hours=hours)


def _draft_step(
    step: DraftStep, known: Mapping[str, SenderRow], by_name: Mapping[str, SenderRow], channels: Mapping[str, Channel]
) -> Step:
    sender = known.get(step.sender)
    if sender is None:
        code = "sender_gone" if step.sender else "no_sender"
        found = blocker(code, Where.JOURNEY, f"{step.key}-sender")
        raise Refused(f"The {step.kind.replace('_', '-')} message has no sender. Choose one.", found)
    by_template = channels[sender.kind].templates is not None
    facts: dict[str, Any] = {"from": sender.name, "not_delivered_after": step.deadline and step.deadline * HOUR}
    if by_template:
        values = {name: text for name, text in step.values.items() if text.strip()}
        facts |= {"template": step.template, "language": step.language, "values": values}
    else:
        facts["text"] = step.text
    try:
        message = FollowUp(**facts, after=step.after * DAY) if step.kind == "follow_up" else Message(**facts)
    except ValidationError as error:
        code, field = ("no_template", "template") if by_template else ("no_text", "text")
        found = blocker(code, Where.JOURNEY, f"{step.key}-{field}")
        words = error.errors()[0]["msg"]
        raise Refused(f"The {step.kind.replace('_', '-')} message is not complete: {words}.", found) from error
    return _step(step.kind, message, by_name, channels, step.key)


def check_fields(plan: Plan, columns: Sequence[str]) -> None:
    """Refuses a step that names a column the audience does not have."""
    for step in plan.steps:
        for text in (step.text, *step.values.values()):
            unknown = unknown_fields(compile_text(text), columns) if text else ()
            if unknown:
                raise Refused(
                    f"The {step.kind.replace('_', '-')} message uses {_list(unknown)}, which is no column of the audience. "
                    f"Its columns: {', '.join(columns)}.",
                    blocker("unknown_column", Where.JOURNEY, "journey", column=unknown[0]),
                )


def _check_reach(house: House, plan: Plan, people: Summary) -> None:
    """Refuses a campaign whose steps all need an address that nobody of the audience has."""
    wanted = {house.channels[step.channel].reaches for step in plan.steps}
    if not (people.phones and Reach.PHONE in wanted) and not (people.emails and Reach.EMAIL in wanted):
        needed = " or ".join(sorted(wanted))
        found = blocker("nobody_reachable", Where.SETUP, "audience")
        raise Refused(f"Nobody of the audience has what the messages need: {needed}. Choose a file that has it.", found)


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"{{{{{name}}}}}" for name in names)


def launch(
    c: Connection, house: House, workspace_id: Id, file: CampaignFile, definition: str, audience_id: Id, starts_at: int, now: int
) -> Id:
    """Makes the campaign and its run in one transaction. Returns the run. A second of the same name is refused."""
    audience = audiences.facts(c, audience_id)
    if not audience.offered:
        raise Refused("Nobody of the audience can be written to. Fix the flagged rows, or choose another file.")
    columns = msgspec.json.decode(audience.columns, type=list[str])
    plan = make_plan(file, accounts.senders(c, workspace_id), house.channels)
    check_fields(plan, columns)
    _check_reach(house, plan, msgspec.json.decode(audience.summary, type=Summary))
    campaign_id = campaigns.create(c, workspace_id, file.name, "one_time", definition, file.tags, now)
    if campaign_id is None:
        raise Refused(f"There is already a campaign named {file.name!r}. Choose another name.")
    facts = (audience_id, audience.columns, audience.offered, file.canary, starts_at, now)
    return _add_run(c, house, workspace_id, campaign_id, plan, *facts)


def launch_draft(
    c: Connection, house: House, workspace_id: Id, row: DraftRow, people: str, starts_at: int, author: Author, now: int
) -> Id | None:
    """The draft becomes a run, in one transaction and once: None when somebody changed or launched it since it was read, or when
    its people are others than those of the mark `people`. Nobody changes them any more.
    """
    _, audience_id = audiences.of_draft(c, workspace_id, row.id, lock=True)  # an audience is swapped without a new version
    audience = audiences.load(c, workspace_id, audience_id, lock=True)
    if (audience.mark if audience else "") != people or not drafts.take(c, workspace_id, row.id, row.version, author, now):
        return None
    if audience is None or not audience.loaded:
        raise Refused("The campaign has no people yet. Choose an audience.", _of_people("no_audience"))
    if busy(c, row.id, audience.id, now):
        words = "The people of the campaign are being changed just now. Wait until that is done, and look at them again."
        raise Refused(words, _of_people("audience_busy"))
    if rows := audience.open_problems:
        raise Refused(f"{rows} rows of the audience have problems. Fix or remove them.", _of_people("flagged_rows", rows=rows))
    if not audience.summary.offered:
        words = "Nobody of the audience can be written to. Fix the flagged rows, or choose another file."
        raise Refused(words, _of_people("nobody"))
    hours = _hours_of(row.draft, choices.choices(c, workspace_id).hours)
    plan = draft_plan(row.draft, accounts.senders(c, workspace_id), house.channels, hours)
    zone = row.draft.schedule.zone if row.draft.schedule.when == "later" else ""
    plan = Plan(steps=tuple(_with_fields_only(c, house, step) for step in plan.steps), hours=hours, zone=zone)
    check_fields(plan, audience.columns)
    _check_reach(house, plan, audience.summary)
    columns, offered = msgspec.json.encode(audience.columns).decode(), audience.summary.offered
    canary = _first_of(row.draft, offered)
    run_id = _add_run(c, house, workspace_id, row.id, plan, audience.id, columns, offered, canary, starts_at, now)
    facts = {"people": offered, "starts_at": starts_at}
    about = (author.user_id, author.who, "campaign.launched", row.name, now, row.id, facts, author.address)
    audit.note(c, workspace_id, *about)
    return run_id


def _of_people(code: str, **details: Any) -> Finding:
    return blocker(code, Where.SETUP, "audience", **details)


def _hours_of(draft: Draft, workspace: Hours | None) -> Hours | None:
    try:
        return draft.hours_in(workspace)
    except ValueError as error:
        wrong = of_hours(draft.hours) if draft.hours else []
        sentence = "The campaign's active hours cannot be kept. Write a time to begin, another to end, and a zone."
        raise Refused(sentence, wrong[0] if wrong else None) from error


def _first_of(draft: Draft, offered: int) -> Canary | None:
    try:
        return draft.canary
    except ValueError as error:
        wrong = of_first(draft.first, offered)
        sentence = "It is not said to whom the campaign goes first. Write how many, for how long, and what may go wrong."
        raise Refused(sentence, wrong[0] if wrong else None) from error


def _with_fields_only(c: Connection, house: House, step: Step) -> Step:
    """Without the values that an earlier choice of template left behind."""
    told = house.channels[step.channel].templates
    if told is None or step.template is None:
        return step
    integration_id = accounts.integration_of_sender(c, bytes.fromhex(step.sender))
    row = templates.find_template(c, integration_id, step.template, step.language or "")
    try:
        known = {field.key for field in told.fields(vendor_template(row))} if row else set(step.values)
    except UnfitContent as error:
        raise _unfit(step, error) from error
    return step.model_copy(update={"values": {name: text for name, text in step.values.items() if name in known}})


def back_to_draft(c: Connection, workspace_id: Id, campaign_id: Id, author: Author, now: int) -> bool:
    """A campaign that waits for its start is a draft again; False when it has begun, or is none that was built here."""
    run = campaigns.latest_run(c, campaign_id)
    if run is None or run.workspace_id != workspace_id or run.started_at is not None or not drafts.was_draft(c, campaign_id):
        return False
    if not campaigns.change_run(c, run.id, ["scheduled"], status="ended", finished_at=now):
        return False
    flows.forget(c, run.id)
    campaigns.forget_run(c, run.id)
    name = drafts.reopen(c, workspace_id, campaign_id, author, now)
    about = (author.user_id, author.who, "campaign.unscheduled", name, now, campaign_id, None, author.address)
    audit.note(c, workspace_id, *about)
    return True


def _unfit(step: Step, error: UnfitContent) -> Refused:
    sentence = f"The {step.kind.replace('_', '-')} message cannot be sent: {error}"
    return Refused(sentence, blocker("unfit", Where.JOURNEY, "journey", words=str(error), why=error.why))


def _add_run(
    c: Connection,
    house: House,
    workspace_id: Id,
    campaign_id: Id,
    plan: Plan,
    audience_id: Id,
    columns: str,
    offered: int,
    canary: Canary | None,
    starts_at: int,
    now: int,
) -> Id:
    run_id = _free_id(c, now)
    watch = watch_for(canary, offered, house.durations.of(canary.wait)) if canary else None
    # While everything is stopped it waits with the others, and goes on with them if they do.
    held = {"status": "paused", "paused_at": now, "note": STOPPED} if workspaces.stopped(c, workspace_id) else {}
    campaigns.add_run(
        c,
        {
            "id": run_id,
            "workspace_id": workspace_id,
            "campaign_id": campaign_id,
            "status": "scheduled",
            "plan": plan.model_dump_json(by_alias=True),
            "columns": columns,
            "audience_id": audience_id,
            "offered": offered,
            "watch": careful.write_watch(watch) if watch else None,
            "starts_at": starts_at,
            "created_at": now,
            **held,
        },
    )
    flows.ensure(c, workspace_id, run_id, [bytes.fromhex(step.sender) for step in plan.steps])
    _check_content(c, house, run_id, plan)
    return run_id


def _free_id(c: Connection, now: int) -> Id:
    """A run id whose people have a prefix of their own."""
    found = new_id(now)
    while campaigns.prefix_taken(c, found):
        found = new_id(now)
    return found


def _check_content(c: Connection, house: House, run_id: Id, plan: Plan) -> None:
    for position, step in enumerate(plan.steps):
        integration_id = accounts.integration_of_sender(c, bytes.fromhex(step.sender))
        try:
            house.renderer(c, run_id, position, step, integration_id)
        except UnfitContent as error:
            raise _unfit(step, error) from error


# --- a run's life -----------------------------------------------------------------------------------------------------------


def pause(c: Connection, run_id: Id, now: int) -> bool:
    """Nothing more is handed over; False when the run is not sending or scheduled."""
    return _change(c, run_id, ["scheduled", "sending"], "paused", now, status="paused", paused_at=now)


def resume(c: Connection, run_id: Id, now: int) -> bool:
    """The run goes on, and with it the senders and steps that its trouble had stopped. One that had not begun waits for its
    start again. False when it is over, or while everything is stopped."""
    run = campaigns.get_run(c, run_id)
    if run is None or run.status not in campaigns.LIVE or workspaces.stopped(c, run.workspace_id):
        return False
    plan = Plan.model_validate_json(run.plan)
    accounts.resume_senders(c, [bytes.fromhex(step.sender) for step in plan.steps])
    flows.reopen(c, run_id)
    return unpause(c, run, now) or run.status != "paused"


def unpause(c: Connection, run: RunRow, now: int) -> bool:
    """A paused run goes on as it was; False when it is not paused."""
    careful.go_on(c, run)
    goes_on = "scheduled" if run.started_at is None else "sending"
    return _change(c, run.id, ["paused"], "resumed", now, status=goes_on, paused_at=None, note=None)


def finish(c: Connection, run_id: Id, now: int) -> bool:
    """Ends the run for good: one row, which *start* sees at once. False when it is over already."""
    return _change(c, run_id, ["scheduled", "sending", "paused"], "finished", now, status="ended", finished_at=now)


def _change(c: Connection, run_id: Id, was: Sequence[str], what: str, now: int, **values: Any) -> bool:
    """Changes a run and notes it for all who want to know; False when it was in none of those states."""
    changed = campaigns.change_run(c, run_id, was, **values)
    if changed:
        relay.note(c, run_id, what, now)
    return changed
